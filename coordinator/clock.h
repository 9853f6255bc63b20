#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::coordinator {

// Time and identifiers from outside, so that tests decide them. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t now_us() const = 0;  // microseconds since 1970, UTC
};

class SystemClock final : public Clock {
 public:
  int64_t now_us() const override {
    using std::chrono::microseconds;
    return std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
};

// `prefix` ("job") and 26 characters of [0-9a-z] from the operating system's random source: 130 bits, unguessable.
std::string new_id(std::string_view prefix);
// Of the form that new_id makes.
bool is_id(std::string_view text, std::string_view prefix);

}  // namespace espalier::coordinator
