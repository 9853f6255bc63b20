#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/description.h"
#include "common/status.h"

// Command lines. A program declares its options and verbs on an App, each bound to a variable that must outlive it; its
// value at that time is the default. CLI11 does the parsing behind it, compiled once: its header costs four seconds.
namespace espalier::cli {

struct AppState;
struct OptionState;

// A declared option, for its further properties. Cheap to copy; lives as long as its App.
class Option {
 public:
  explicit Option(OptionState* state) : state_(state) {}

  Option required();
  Option show_default();                             // in the help
  Option range(double low, double high);             // of a number, both included
  Option choices(std::vector<std::string> allowed);  // of a text, or of each in a list
  Option environment(const std::string& variable);   // gives the value when the command line does not
  Option separated_by_commas();                      // a list in one argument
  Option one_at_a_time();                            // a list that takes one value each time it is named
  Option one_or_more();                              // a list that takes all values up to the next option
  Option needs(Option other);
  Option excludes(Option other);
  Option existing_file();
  Option value(ValueKind kind, const std::string& name);  // how the help calls it, e.g. kFolder, "DIR"
  // Returns what is wrong with a value; empty: nothing.
  Option check(std::function<std::string(const std::string&)> fault);

 private:
  friend class App;
  OptionState* state_;
};

class App {
 public:
  // A program. --help and --version are added.
  App(const std::string& name, const std::string& text);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // `names`: "-o,--output", or "file" for a positional.
  Option option(const std::string& names, std::string& value, const std::string& text = "");
  Option option(const std::string& names, std::filesystem::path& value, const std::string& text = "");
  Option option(const std::string& names, int& value, const std::string& text = "");
  Option option(const std::string& names, int64_t& value, const std::string& text = "");
  Option option(const std::string& names, uint32_t& value, const std::string& text = "");
  Option option(const std::string& names, uint64_t& value, const std::string& text = "");
  Option option(const std::string& names, float& value, const std::string& text = "");
  Option option(const std::string& names, double& value, const std::string& text = "");
  Option option(const std::string& names, std::optional<int>& value, const std::string& text = "");
  Option option(const std::string& names, std::optional<int64_t>& value, const std::string& text = "");
  Option option(const std::string& names, std::optional<uint64_t>& value, const std::string& text = "");
  Option option(const std::string& names, std::optional<double>& value, const std::string& text = "");
  Option option(const std::string& names, std::vector<std::string>& value, const std::string& text = "");
  Option option(const std::string& names, std::vector<std::filesystem::path>& value, const std::string& text = "");
  Option option(const std::string& names, std::vector<int>& value, const std::string& text = "");
  // The same, handed to a function when it is given.
  Option text(const std::string& names, std::function<void(const std::string&)> store, const std::string& text);
  Option integer(const std::string& names, std::function<void(int64_t)> store, const std::string& text);
  Option number(const std::string& names, std::function<void(double)> store, const std::string& text);
  Option bytes(const std::string& names, std::function<void(uint64_t)> store, const std::string& text);  // "200GiB"
  // `names` with a leading "!" makes it false: "!--no-remesh".
  Option flag(const std::string& names, bool& value, const std::string& text = "");
  Option flag(const std::string& names, std::function<void()> store, const std::string& text);

  // A verb below this one, owned by this App.
  App& verb(const std::string& name, const std::string& text);
  // What is done when this verb was chosen; called by parse().
  void run(std::function<void()> chosen);
  void require_verb();
  // Options of this App may also follow the verbs that are declared later.
  void options_anywhere();
  void footer(const std::string& text);
  // Adds --config FILE, from which options that neither the command line nor the environment gives are read (see
  // defaults.h); `variable` may name the file, too. `file` is read when it exists and no other is named.
  void defaults_from(const std::filesystem::path& file, const std::string& variable);
  // Unknown arguments are kept instead of refused; `all`: everything after the verb's name is.
  void keep_unknown(bool all = false);
  std::vector<std::string> unknown() const;
  bool chosen() const;                        // whether this verb was named
  bool given(const std::string& name) const;  // "--steps": whether it stood on the command line
  std::vector<std::string> given() const;     // the last name of each option that did

  CommandDescription describe() const;

  // Reads the command line. Returns an exit code when the program is done: 0 after --help, --version or --man (the
  // manual page, as roff), 2 after a fault, which has been printed with a hint at what is near; nothing when it is to
  // go on.
  std::optional<int> parse(int argc, const char* const* argv);
  // The same without printing: INVALID_ARGUMENT is the fault; CANCELLED: the help, the version or the manual was asked
  // for and is the message. `arguments` without the program's name.
  Status parse(const std::vector<std::string>& arguments);

 private:
  Status apply_defaults(const CommandDescription& program, const std::vector<std::string>& arguments);
  App* find_verb(const std::string& name);
  explicit App(std::unique_ptr<AppState> state);
  std::unique_ptr<AppState> state_;
};

}  // namespace espalier::cli
