# Precompiled headers, each made once and shared by all targets of its kind. They hold what nearly every source of that
# kind includes by itself; sources still include what they use, so that ESP_PCH=OFF builds, too.
#   esp_pch_base   the standard library, Abseil and JSON
#   esp_pch_rpc    these, and gRPC with our messages
#   esp_pch_torch  these, and torch/types.h
# The flags must be those of the users, or GCC drops the header: -Winvalid-pch tells. (-O1 to -O3 count as the same.)
option(ESP_PCH "Precompile headers" ON)

set(pch_base_headers <algorithm> <chrono> <cstdint> <cstdlib> <filesystem> <functional> <iostream> <map> <memory> <mutex>
  <optional> <set> <stop_token> <string> <string_view> <thread> <utility> <vector>
  [["absl/status/statusor.h"]] [["absl/strings/str_cat.h"]] [["absl/strings/str_format.h"]] [["absl/strings/str_join.h"]]
  [["absl/strings/numbers.h"]] <nlohmann/json.hpp>)

function(esp_add_pch name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LIBS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/${name}.cpp CONTENT "")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  target_link_libraries(${name} PRIVATE absl::statusor absl::strings nlohmann_json::nlohmann_json ${ARG_LIBS})
  target_precompile_headers(${name} PRIVATE ${pch_base_headers} ${ARG_HEADERS})
endfunction()

function(esp_use_pch target pch)
  if(ESP_PCH)
    target_precompile_headers(${target} REUSE_FROM ${pch})
    target_compile_options(${target} PRIVATE -Winvalid-pch)
  endif()
endfunction()
