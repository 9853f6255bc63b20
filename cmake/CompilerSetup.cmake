# One place for every flag: all targets (and the precompiled header) must be compiled alike.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")

# No contraction: results must not depend on whether the compiler finds a fused multiply-add.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -ffp-contract=off)
if(ESP_WERROR)
  add_compile_options(-Werror)
endif()
if(ESP_SANITIZE)
  # No vptr check: it wants type information of SOCI's classes that Debian's library does not export.
  add_compile_options(-fsanitize=${ESP_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ESP_SANITIZE})
endif()

find_program(ESP_CCACHE ccache)
if(ESP_CCACHE)
  # The sloppiness list is what lets ccache reuse a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${ESP_CCACHE})
  add_compile_options(-fpch-preprocess)
endif()
# In the build tree CMake adds where LibTorch is. An installation has our libraries and, once `espalier setup` has run, a
# link to LibTorch beside the programs; as DT_RPATH, so that it holds for the libraries of libraries, too.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib/espalier;$ORIGIN/../lib/espalier/torch/lib")
add_link_options(-Wl,--disable-new-dtags)

find_program(ESP_MOLD mold)
if(ESP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
