# Precompiled headers, each made once and shared by all targets of its kind. They hold what nearly every source of that
# kind includes by itself; sources still include what they use, so that ESP_PCH=OFF builds, too.
#   esp_pch_base   the standard library and Abseil       esp_pch_test         the same and GoogleTest
#   esp_pch_rpc    and gRPC with our messages            esp_pch_test_rpc
#   esp_pch_torch  and torch/types.h                     esp_pch_test_torch
# The flags must be those of the users, or GCC drops the header: -Winvalid-pch tells.
option(ESP_PCH "Precompile headers" ON)

set(pch_base_headers <algorithm> <chrono> <cstdint> <cstdlib> <filesystem> <functional> <iostream> <map> <memory> <mutex>
  <optional> <set> <stop_token> <string> <string_view> <thread> <utility> <vector>
  [["absl/status/statusor.h"]] [["absl/strings/str_cat.h"]] [["absl/strings/str_format.h"]] [["absl/strings/str_join.h"]]
  [["absl/strings/numbers.h"]] <nlohmann/json.hpp>)
set(pch_test_headers <gmock/gmock.h> <gtest/gtest.h>)

function(esp_add_pch name)
  cmake_parse_arguments(ARG "TEST" "" "HEADERS;LIBS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/${name}.cpp CONTENT "")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  target_link_libraries(${name} PRIVATE absl::statusor absl::strings nlohmann_json::nlohmann_json ${ARG_LIBS})
  if(ARG_TEST)
    target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest)
    target_compile_options(${name} PRIVATE ${esp_test_options})
  endif()
  target_precompile_headers(${name} PRIVATE ${pch_base_headers} ${ARG_HEADERS})
endfunction()

function(esp_use_pch target pch)
  if(ESP_PCH)
    target_precompile_headers(${target} REUSE_FROM ${pch})
    target_compile_options(${target} PRIVATE -Winvalid-pch)
  endif()
endfunction()
