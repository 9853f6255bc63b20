#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/defaults.h"
#include "cli/manual.h"
#include "cli/misspelt.h"
#include "common/version.h"

namespace espalier::cli {

struct OptionState {
  CLI::Option* option;
  OptionDescription description;
};

struct AppState {
  explicit AppState(CLI::App* of) : app(of) {}

  std::unique_ptr<CLI::App> root;  // of the program's App alone; verbs belong to it
  CLI::App* app;
  std::vector<std::unique_ptr<OptionState>> options;
  std::vector<std::unique_ptr<App>> verbs;
  bool needs_verb = false;
  std::filesystem::path defaults_file;  // with a command line's --config, or the environment's, before it
  std::string defaults_variable, named_defaults;

  OptionState* find(const std::string& name) const {
    for (const auto& option : options) {
      const auto& names = option->description.names;
      if (std::find(names.begin(), names.end(), name) != names.end()) return option.get();
    }
    return nullptr;
  }

  Option keep(CLI::Option* option, ValueKind kind, const std::string& value, const std::string& text) {
    OptionDescription description;
    description.kind = kind;
    description.value = value;
    description.text = text;
    for (const auto& name : option->get_snames()) description.names.push_back("-" + name);
    for (const auto& name : option->get_lnames()) description.names.push_back("--" + name);
    if (description.names.empty()) {
      description.names = {option->get_name()};
      description.positional = true;
    }
    if (kind != ValueKind::kFlag) option->type_name(value);
    options.push_back(std::make_unique<OptionState>(OptionState{option, std::move(description)}));
    return Option(options.back().get());
  }

  template <class T>
  Option add(const std::string& names, T& value, ValueKind kind, const char* value_name, const std::string& text) {
    return keep(app->add_option(names, value, text), kind, value_name, text);
  }

  template <class T>
  Option add_list(const std::string& names, T& value, ValueKind kind, const char* value_name, const std::string& text) {
    const Option option = add(names, value, kind, value_name, text);
    options.back()->description.repeated = true;
    return option;
  }

  template <class T, class Store>
  Option add_function(const std::string& names, Store store, ValueKind kind, const char* value_name,
                      const std::string& text) {
    return keep(app->add_option_function<T>(
                    names, [store](const T& value) { store(value); }, text),
                kind, value_name, text);
  }
};

namespace {

// The file that --config or the environment names; empty: neither does.
std::string named_file(const std::vector<std::string>& arguments, const std::string& variable) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--config" && i + 1 < arguments.size()) return arguments[i + 1];
    if (arguments[i].starts_with("--config=")) return arguments[i].substr(sizeof("--config=") - 1);
  }
  const char* value = std::getenv(variable.c_str());
  return value == nullptr ? "" : value;
}

// Makes the value the variable's own, as if it had been there when the option was declared; the environment and the
// command line still replace it.
Status take_default(OptionState& state, const Default& value) {
  const std::string& variable = state.description.environment;
  if (!variable.empty() && std::getenv(variable.c_str()) != nullptr) return absl::OkStatus();
  auto values = value.values;
  try {
    if (state.description.kind == ValueKind::kFlag) {
      if (values != std::vector<std::string>{"true"} && values != std::vector<std::string>{"false"})
        return absl::InvalidArgumentError(absl::StrCat(value.place, ": ", value.option, ": is not true or false"));
      values = {state.option->get_flag_value(value.option.substr(2), values[0])};
    }
    state.option->add_result(values);
    state.option->run_callback();
    state.option->clear();
    state.option->required(false);
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(value.place, ": ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace

Option Option::required() {
  state_->option->required();
  state_->description.required = true;
  return *this;
}

Option Option::show_default() {
  state_->option->capture_default_str();
  const std::string value = state_->option->get_default_str();
  const bool list = value.size() > 1 && value.front() == '[' && value.back() == ']';
  state_->description.default_value = list ? value.substr(1, value.size() - 2) : value;
  state_->option->default_str(state_->description.default_value);
  return *this;
}

Option Option::range(double low, double high) {
  return check([low, high](const std::string& text) -> std::string {
    double value;
    // What is no number is refused by its type.
    if (!CLI::detail::lexical_cast(text, value) || (value >= low && value <= high)) return {};
    return absl::StrCat(text, " is not in ", low, "..", high);
  });
}

Option Option::choices(std::vector<std::string> allowed) {
  state_->description.choices = allowed;
  state_->option->type_name(absl::StrCat("{", absl::StrJoin(allowed, ","), "}"));
  return check([allowed = std::move(allowed)](const std::string& text) -> std::string {
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return {};
    return absl::StrCat("\"", text, "\" is not one of ", absl::StrJoin(allowed, ", "));
  });
}

Option Option::environment(const std::string& variable) {
  state_->option->envname(variable);
  state_->description.environment = variable;
  return *this;
}

Option Option::separated_by_commas() {
  state_->option->delimiter(',');
  return *this;
}

Option Option::one_at_a_time() {
  state_->option->allow_extra_args(false);
  return *this;
}

Option Option::one_or_more() {
  state_->option->expected(1, -1);
  return *this;
}

Option Option::needs(Option other) {
  state_->option->needs(other.state_->option);
  return *this;
}

Option Option::excludes(Option other) {
  state_->option->excludes(other.state_->option);
  return *this;
}

Option Option::existing_file() {
  return check([](const std::string& name) {
    std::error_code error;
    return std::filesystem::is_regular_file(name, error) ? std::string() : name + ": no such file";
  });
}

Option Option::value(ValueKind kind, const std::string& name) {
  state_->description.kind = kind;
  state_->description.value = name;
  state_->option->type_name(name);
  return *this;
}

Option Option::check(std::function<std::string(const std::string&)> fault) {
  state_->option->check(std::move(fault));
  return *this;
}

App::App(const std::string& name, const std::string& text) {
  auto root = std::make_unique<CLI::App>(text, name);
  root->set_version_flag(
      "--version", [name] { return version_text(name); }, "Print what this program was built of, and exit");
  root->get_formatter()->label("SUBCOMMAND", "VERB");
  state_ = std::make_unique<AppState>(root.get());
  state_->root = std::move(root);
}

App::App(std::unique_ptr<AppState> state) : state_(std::move(state)) {}
App::~App() = default;

Option App::option(const std::string& names, std::string& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kText, "TEXT", text);
}
Option App::option(const std::string& names, std::filesystem::path& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kFile, "PATH", text);
}
Option App::option(const std::string& names, int& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, int64_t& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, uint32_t& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, uint64_t& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, float& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "NUMBER", text);
}
Option App::option(const std::string& names, double& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "NUMBER", text);
}
Option App::option(const std::string& names, std::optional<int>& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, std::optional<int64_t>& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, std::optional<uint64_t>& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "INT", text);
}
Option App::option(const std::string& names, std::optional<double>& value, const std::string& text) {
  return state_->add(names, value, ValueKind::kNumber, "NUMBER", text);
}
Option App::option(const std::string& names, std::vector<std::string>& value, const std::string& text) {
  return state_->add_list(names, value, ValueKind::kText, "TEXT", text);
}
Option App::option(const std::string& names, std::vector<std::filesystem::path>& value, const std::string& text) {
  return state_->add_list(names, value, ValueKind::kFile, "PATH", text);
}
Option App::option(const std::string& names, std::vector<int>& value, const std::string& text) {
  return state_->add_list(names, value, ValueKind::kNumber, "INT", text);
}

Option App::text(const std::string& names, std::function<void(const std::string&)> store, const std::string& text) {
  return state_->add_function<std::string>(names, std::move(store), ValueKind::kText, "TEXT", text);
}
Option App::integer(const std::string& names, std::function<void(int64_t)> store, const std::string& text) {
  return state_->add_function<int64_t>(names, std::move(store), ValueKind::kNumber, "INT", text);
}
Option App::number(const std::string& names, std::function<void(double)> store, const std::string& text) {
  return state_->add_function<double>(names, std::move(store), ValueKind::kNumber, "NUMBER", text);
}
Option App::bytes(const std::string& names, std::function<void(uint64_t)> store, const std::string& text) {
  Option option = state_->add_function<uint64_t>(names, std::move(store), ValueKind::kText, "SIZE", text);
  option.state_->option->transform(CLI::AsSizeValue(false));
  return option.value(ValueKind::kText, "SIZE");
}

Option App::flag(const std::string& names, bool& value, const std::string& text) {
  return state_->keep(state_->app->add_flag(names, value, text), ValueKind::kFlag, "", text);
}
Option App::flag(const std::string& names, std::function<void()> store, const std::string& text) {
  return state_->keep(state_->app->add_flag_callback(names, std::move(store), text), ValueKind::kFlag, "", text);
}

App& App::verb(const std::string& name, const std::string& text) {
  auto* added = state_->app->add_subcommand(name, text);
  added->group("Verbs");
  state_->verbs.push_back(std::unique_ptr<App>(new App(std::make_unique<AppState>(added))));
  return *state_->verbs.back();
}

void App::run(std::function<void()> chosen) { state_->app->callback(std::move(chosen)); }
void App::require_verb() {
  state_->app->require_subcommand(1);
  state_->needs_verb = true;
}
void App::options_anywhere() { state_->app->fallthrough(); }
void App::footer(const std::string& text) { state_->app->footer(text); }

void App::defaults_from(const std::filesystem::path& file, const std::string& variable) {
  state_->defaults_file = file;
  state_->defaults_variable = variable;
  option("--config", state_->named_defaults, "YAML file of options' defaults")
      .value(ValueKind::kFile, "FILE")
      .environment(variable);
}

void App::keep_unknown(bool all) {
  if (!all) {
    state_->app->allow_extras();
    return;
  }
  state_->app->prefix_command();
  state_->app->set_help_flag();
}

std::vector<std::string> App::unknown() const { return state_->app->remaining(); }
bool App::chosen() const { return state_->app->parsed(); }

bool App::given(const std::string& name) const {
  const OptionState* option = state_->find(name);
  return option != nullptr && option->option->count() > 0;
}

std::vector<std::string> App::given() const {
  std::vector<std::string> names;
  for (const auto& option : state_->options) {
    if (option->option->count() > 0) names.push_back(option->description.names.back());
  }
  return names;
}

CommandDescription App::describe() const {
  CommandDescription description;
  description.name = state_->app->get_name();
  description.text = state_->app->get_description();
  description.footer = state_->app->get_footer();
  description.needs_verb = state_->needs_verb;
  for (const auto& option : state_->options) description.options.push_back(option->description);
  for (const auto& verb : state_->verbs) description.verbs.push_back(verb->describe());
  return description;
}

std::optional<int> App::parse(int argc, const char* const* argv) {
  const Status status = parse(std::vector<std::string>(argv + 1, argv + argc));
  if (status.ok()) return std::nullopt;
  if (absl::IsCancelled(status)) {
    std::fputs(std::string(status.message()).c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  const std::string name = state_->app->get_name();
  std::fprintf(stderr, "%s: %s\nTry %s --help.\n", name.c_str(), std::string(status.message()).c_str(), name.c_str());
  return 2;
}

Status App::parse(const std::vector<std::string>& arguments) {
  const CommandDescription program = describe();
  ESP_TRY(find_misspelt_verb(program, arguments));
  if (!arguments.empty() && arguments.back() == "--man") {
    return absl::CancelledError(manual_page(named_path(program, arguments)));
  }
  ESP_TRY(apply_defaults(program, arguments));
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    state_->app->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    // Of the verb that was named last, not of the program.
    const CLI::App* asked = state_->app;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().back();
    return absl::CancelledError(asked->help());
  } catch (const CLI::CallForVersion& version) {
    return absl::CancelledError(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& fault) {
    return absl::InvalidArgumentError(fault.what());
  }
  return absl::OkStatus();
}

Status App::apply_defaults(const CommandDescription& program, const std::vector<std::string>& arguments) {
  if (state_->defaults_variable.empty()) return absl::OkStatus();
  std::filesystem::path file = state_->defaults_file;
  const std::string named = named_file(arguments, state_->defaults_variable);
  if (!named.empty()) file = named;
  std::error_code error;
  if (named.empty() && !std::filesystem::exists(file, error)) return absl::OkStatus();
  ESP_ASSIGN(const auto defaults, read_defaults(file, program));
  std::vector<std::string> verbs;
  for (const CommandDescription* verb : named_path(program, arguments)) verbs.push_back(verb->name);
  verbs.erase(verbs.begin());  // the program
  for (const Default& value : defaults) {
    if (value.verbs.size() > verbs.size() || !std::equal(value.verbs.begin(), value.verbs.end(), verbs.begin()))
      continue;
    App* app = this;
    for (const auto& verb : value.verbs) app = app->find_verb(verb);
    ESP_TRY(take_default(*app->state_->find(value.option), value));
  }
  return absl::OkStatus();
}

App* App::find_verb(const std::string& name) {
  for (const auto& verb : state_->verbs) {
    if (verb->state_->app->get_name() == name) return verb.get();
  }
  return nullptr;
}

const CommandDescription* CommandDescription::verb(const std::string& wanted) const {
  for (const auto& candidate : verbs) {
    if (candidate.name == wanted) return &candidate;
  }
  return nullptr;
}

}  // namespace espalier::cli
