# The CUDA language, for builds with CUDA only: nvcc of the wheels beside LibTorch's, else a toolkit's.
find_program(ESP_NVCC nvcc PATHS ${site_packages}/nvidia/cu13/bin NO_DEFAULT_PATH)
if(ESP_NVCC)
  # CMake links a program to try the compiler, and nvcc looks for its libraries in lib64, which the wheels lack.
  set(CMAKE_CUDA_FLAGS_INIT "-L${site_packages}/nvidia/cu13/lib")
else()
  find_program(ESP_NVCC nvcc PATHS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
endif()
if(NOT ESP_NVCC)
  message(FATAL_ERROR "The kernels need CUDA's compiler, but there is no nvcc in ${site_packages}/nvidia/cu13/bin, "
                      "CUDA_HOME, /usr/local/cuda or PATH. Run ESPALIER_CUDA=1 scripts/bootstrap, set ESP_NVCC, "
                      "or configure with ESP_CUDA=OFF.")
endif()

set(CMAKE_CUDA_COMPILER ${ESP_NVCC})
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # LibTorch's own is linked
# Ampere to Blackwell; newer GPUs compile the code of compute capability 10.0 when it is first used.
set(CMAKE_CUDA_ARCHITECTURES "80-real;86-real;89-real;90-real;100;120-real" CACHE STRING "GPUs to compile for")
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")  # CMake 3.25 does not know that nvcc has it
endif()
set(CMAKE_CUDA_STANDARD 20)

# esp_add_kernels(TARGET SOURCES...): CUDA sources of a library made by esp_add_library(). They are compiled apart, since
# the flags that all C++ sources share are not nvcc's.
function(esp_add_kernels target)
  add_library(${target}_kernels OBJECT ${ARGN})
  target_include_directories(${target}_kernels PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target}_kernels PRIVATE esp_torch)
  set_target_properties(${target}_kernels PROPERTIES
    COMPILE_OPTIONS "-Xcompiler=-Wall,-Wextra,-Wshadow;$<$<BOOL:${ESP_WERROR}>:-Werror=all-warnings>")
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_kernels>)
endfunction()
