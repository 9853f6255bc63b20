#include "cli/defaults.h"

#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/misspelt.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

constexpr uint64_t kMostDefaultBytes = 1 << 20;

std::string without_dashes(const std::string& name) { return name.substr(name.find_first_not_of('-')); }

// Walks the maps of one file.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  void read(const YAML::Node& map, const CommandDescription& command, const std::vector<std::string>& verbs) {
    if (!map.IsMap()) return fault(map, verbs.empty() ? "the file" : verbs.back(), "is not a map of options");
    for (const auto& entry : map) {
      const auto key = absl::StrReplaceAll(entry.first.as<std::string>(""), {{"_", "-"}});
      if (const CommandDescription* verb = command.verb(key)) {
        auto deeper = verbs;
        deeper.push_back(key);
        read(entry.second, *verb, deeper);
      } else {
        take(entry.first, key, entry.second, command, verbs);
      }
    }
  }

  Result<std::vector<Default>> result() && {
    if (faults_.empty()) return std::move(defaults_);
    return absl::InvalidArgumentError(absl::StrJoin(faults_, "\n"));
  }

 private:
  void fault(const YAML::Node& node, const std::string& key, const std::string& what) {
    faults_.push_back(absl::StrCat(place(node), ": ", key, ": ", what));
  }

  std::string place(const YAML::Node& node) const { return absl::StrCat(file_, ":", node.Mark().line + 1); }

  void take(const YAML::Node& at, const std::string& key, const YAML::Node& value, const CommandDescription& command,
            const std::vector<std::string>& verbs) {
    std::vector<std::string> names;
    for (const auto& option : command.options) {
      if (option.positional) continue;
      for (const auto& name : option.names) names.push_back(without_dashes(name));
    }
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      for (const auto& verb : command.verbs) names.push_back(verb.name);
      const std::string near = nearest(key, names);
      return fault(at, key, near.empty() ? "there is no such option" : absl::StrCat("did you mean ", near, "?"));
    }
    Default found{verbs, (key.size() == 1 ? "-" : "--") + key, {}, place(at)};
    if (value.IsScalar()) found.values.push_back(value.Scalar());
    for (const auto& item : value.IsSequence() ? value : YAML::Node()) {
      if (!item.IsScalar()) return fault(item, key, "its items are not plain values");
      found.values.push_back(item.Scalar());
    }
    if (found.values.empty()) return fault(at, key, "is neither a value nor a list of values");
    defaults_.push_back(std::move(found));
  }

  std::string file_;
  std::vector<Default> defaults_;
  std::vector<std::string> faults_;
};

}  // namespace

Result<std::vector<Default>> read_defaults(const std::filesystem::path& file, const CommandDescription& program) {
  ESP_ASSIGN(const std::string text, read_file(file, kMostDefaultBytes));
  try {
    const YAML::Node root = YAML::Load(text);
    Reader reader(file.string());
    if (!root.IsNull()) reader.read(root, program, {});
    return std::move(reader).result();
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), ":", error.mark.line + 1, ": ", error.msg));
  }
}

}  // namespace espalier::cli
