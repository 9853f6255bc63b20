# common/build_facts.h, made anew by every build but rewritten only when something in it has changed.
find_package(Git QUIET)
file(STRINGS ${CMAKE_SOURCE_DIR}/scripts/libtorch-companions.txt companions)
list(JOIN companions " " companions)
add_custom_target(esp_build_facts
  COMMAND ${CMAKE_COMMAND} -DGIT=${GIT_EXECUTABLE} -DSOURCE=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
          -DTORCH=${ESP_TORCH_VERSION} -DCUDA=${ESP_CUDA_VERSION} -DCOMPANIONS=${companions}
          -DOUTPUT=${CMAKE_BINARY_DIR}/generated/common/build_facts.h -P ${CMAKE_SOURCE_DIR}/cmake/BuildFacts.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/common/build_facts.h
  COMMENT "" VERBATIM)
