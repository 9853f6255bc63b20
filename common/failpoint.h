#pragma once

#include <string_view>

namespace espalier {

namespace internal {
extern const bool failpoints_set;
bool reached_failpoint(std::string_view place);
}  // namespace internal

// Faults on demand, for tests that end or hinder a program at an exact place. ESPALIER_FAILPOINTS says what happens
// where, separated by ';':
//   database.committed=exit@12   the 12th time the process ends at once with code 137, as after SIGKILL
//   blob.write=fail@3-8          the 3rd to the 8th time failpoint() is true: the place behaves as if it had failed
// A malformed value ends the program at its first place with code 2. Without the variable a place costs the read of
// one constant. Thread-safe.
inline bool failpoint(std::string_view place) { return internal::failpoints_set && internal::reached_failpoint(place); }

}  // namespace espalier
