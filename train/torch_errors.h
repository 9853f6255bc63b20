#pragma once

#include <c10/util/Exception.h>

#include <new>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace espalier::train {

// Runs numerics and turns what they throw into a Status: no exception leaves this folder.
template <class F>
auto catch_torch(F&& run) -> std::invoke_result_t<F> {
  try {
    return run();
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(absl::StrCat("out of device memory: ", error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace espalier::train
