#include "coordinator/clock.h"

#include <sys/random.h>

#include <array>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace espalier::coordinator {

std::string new_id(std::string_view prefix) {
  constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";  // 32 letters, none alike
  std::array<unsigned char, 26> random;
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) std::abort();
  std::string id = absl::StrCat(std::string(prefix), "_");
  for (const unsigned char byte : random) id += kAlphabet[byte % 32];
  return id;
}

bool is_id(std::string_view text, std::string_view prefix) {
  if (text.size() != prefix.size() + 27 || text.substr(0, prefix.size()) != prefix || text[prefix.size()] != '_') {
    return false;
  }
  return text.substr(prefix.size() + 1).find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") ==
         std::string_view::npos;
}

}  // namespace espalier::coordinator
