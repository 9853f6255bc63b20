#include "coordinator/paging.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;

std::string mark(const std::string& number, const std::string& scope) {
  return sha256_hex(absl::StrCat(number, "\n", scope)).substr(0, 12);
}

}  // namespace

Result<PageQuery> parse_page(const v1::PageRequest& request, const std::string& scope) {
  std::vector<FieldFault> faults;
  PageQuery page;
  page.size = request.page_size() == 0 ? kDefaultPage : request.page_size();
  if (page.size < 1 || page.size > kMaxPage) {
    faults.push_back({"page.page_size", absl::StrCat(request.page_size(), " is not in 0 to ", kMaxPage)});
  }
  if (const std::string& token = request.page_token(); !token.empty()) {
    const std::string number = token.substr(0, token.find('-'));
    if (token != absl::StrCat(number, "-", mark(number, scope)) || !absl::SimpleAtoi(number, &page.before_number)) {
      faults.push_back({"page.page_token", "is not a token of a listing with these fields"});
    }
  }
  ESP_TRY(invalid_fields(faults));
  return page;
}

std::string next_token(long long number, const std::string& scope) {
  const std::string text = absl::StrCat(number);
  return absl::StrCat(text, "-", mark(text, scope));
}

std::string page_clause(const PageQuery& page) {
  const std::string before = page.before_number > 0 ? absl::StrCat(" AND number < ", page.before_number) : "";
  return absl::StrCat(before, " ORDER BY number DESC LIMIT ", page.size);
}

}  // namespace espalier::coordinator
