# LibTorch from the PyPI wheel in the project-local virtual environment (.venv, made by scripts/bootstrap).
file(GLOB torch_dirs ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
set(ESP_TORCH_DIR "${torch_dirs}" CACHE PATH "The wheel's torch folder (include/, lib/)")
if(NOT EXISTS "${ESP_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found in '${ESP_TORCH_DIR}'. Run scripts/bootstrap, or set ESP_TORCH_DIR, "
                      "or configure with the no-torch preset.")
endif()

# The wheel's include folder also holds its own fmt and protobuf, which would shadow the system's: show only torch's.
set(torch_include ${CMAKE_BINARY_DIR}/torch_include)
file(MAKE_DIRECTORY ${torch_include})
foreach(folder ATen c10 torch caffe2)
  file(CREATE_LINK ${ESP_TORCH_DIR}/include/${folder} ${torch_include}/${folder} SYMBOLIC)
endforeach()

get_filename_component(site_packages ${ESP_TORCH_DIR} DIRECTORY)
set(torch_cuda_lib ${ESP_TORCH_DIR}/lib/libtorch_cuda.so)
set(nccl_lib ${site_packages}/nvidia/nccl/lib/libnccl.so.2)
if(ESP_CUDA STREQUAL "AUTO")
  if(EXISTS ${torch_cuda_lib} AND EXISTS ${nccl_lib})
    set(ESP_HAS_CUDA ON)
  else()
    set(ESP_HAS_CUDA OFF)
  endif()
else()
  set(ESP_HAS_CUDA ${ESP_CUDA})
endif()

add_library(esp_torch INTERFACE)
target_include_directories(esp_torch SYSTEM INTERFACE ${torch_include} ${torch_include}/torch/csrc/api/include)
target_link_libraries(esp_torch INTERFACE
  ${ESP_TORCH_DIR}/lib/libtorch_cpu.so ${ESP_TORCH_DIR}/lib/libc10.so Threads::Threads)
if(ESP_HAS_CUDA)
  foreach(lib ${torch_cuda_lib} ${ESP_TORCH_DIR}/lib/libc10_cuda.so ${site_packages}/nvidia/cu13/lib/libcudart.so.13
              ${nccl_lib})
    if(NOT EXISTS ${lib})
      message(FATAL_ERROR "ESP_CUDA is on, but ${lib} is missing. Run ESPALIER_CUDA=1 scripts/bootstrap.")
    endif()
  endforeach()
  target_link_libraries(esp_torch INTERFACE -Wl,--no-as-needed ${torch_cuda_lib} ${ESP_TORCH_DIR}/lib/libc10_cuda.so
    ${site_packages}/nvidia/cu13/lib/libcudart.so.13 ${nccl_lib} -Wl,--as-needed)
  target_compile_definitions(esp_torch INTERFACE ESP_HAS_CUDA=1 USE_C10D_NCCL)
  target_include_directories(esp_torch SYSTEM INTERFACE ${site_packages}/nvidia/cu13/include
    ${site_packages}/nvidia/nccl/include)
endif()

function(esp_use_torch target)
  target_link_libraries(${target} PRIVATE esp_torch)
endfunction()

file(STRINGS ${ESP_TORCH_DIR}/version.py version_lines REGEX "^(__version__|cuda)")
string(REGEX MATCH "__version__ = '([0-9.]+)" _ "${version_lines}")
set(ESP_TORCH_VERSION ${CMAKE_MATCH_1})
if(ESP_HAS_CUDA)
  string(REGEX MATCH "cuda[^;]* = '([0-9.]+)'" _ "${version_lines}")
  set(ESP_CUDA_VERSION ${CMAKE_MATCH_1})
endif()

# An installation has the CUDA libraries beside the torch folder; `..` leads up from where the link points to.
if(ESP_HAS_CUDA)
  foreach(folder cu13 nccl)
    list(APPEND CMAKE_INSTALL_RPATH $ORIGIN/../lib/espalier/torch/lib/../../nvidia/${folder}/lib)
  endforeach()
endif()
