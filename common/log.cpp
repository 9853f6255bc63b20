#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

namespace espalier {
namespace {

struct Backend {
  std::mutex mutex;  // guards the two fields below
  std::string component = "espalier";
  LogFormat format = LogFormat::kText;
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("espalier");
};

Backend& backend() {
  static auto* instance = new Backend;  // never destroyed: other static destructors may still log
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Of the scopes that this thread is in, outermost first.
std::vector<LogField>& scope_fields() {
  thread_local std::vector<LogField> fields;
  return fields;
}

std::vector<LogField> all_fields(std::initializer_list<LogField> own) {
  std::vector<LogField> fields(own);
  fields.insert(fields.end(), scope_fields().begin(), scope_fields().end());
  return fields;
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string text_line(std::string_view component, std::string_view message, const std::vector<LogField>& fields) {
  std::string line(component);
  line.append(": ").append(message);
  for (const auto& field : fields) {
    const bool quote = field.quoted() && field.value().find_first_of(" \t\n\"=") != std::string::npos;
    line.append(" ").append(field.key()).append("=").append(quote ? dump(field.value()) : field.value());
  }
  return line;
}

// 2026-11-21T15:00:00.123456Z
std::string timestamp() {
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[40];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>((now - seconds).count()));
  return text;
}

std::string json_line(std::string_view component, LogLevel level, std::string_view message,
                      const std::vector<LogField>& fields) {
  nlohmann::ordered_json line;
  line["ts"] = timestamp();
  line["level"] = spdlog::level::to_string_view(to_spdlog(level)).data();
  line["component"] = component;
  line["msg"] = message;
  for (const auto& field : fields) {
    if (line.contains(field.key())) continue;  // a line's own field counts more than its scope's
    const auto number = nlohmann::json::parse(field.value(), nullptr, false);
    const bool is_number = !field.quoted() && number.is_number();
    line[field.key()] = is_number ? nlohmann::ordered_json(number) : nlohmann::ordered_json(field.value());
  }
  return dump(line);
}

// The line without what follows "esk_", the beginning of the secret of every key.
std::string redacted(std::string line) {
  constexpr std::string_view kSecret = "esk_";
  for (size_t at = line.find(kSecret); at != std::string::npos; at = line.find(kSecret, at + kSecret.size())) {
    const size_t begin = at + kSecret.size();
    const size_t end = std::min(line.find_first_not_of("0123456789abcdefABCDEF", begin), line.size());
    line.replace(begin, end - begin, "[redacted]");
  }
  return line;
}

}  // namespace

void configure_log(std::string_view component, LogLevel level, LogFormat format) {
  auto& state = backend();
  const std::lock_guard lock(state.mutex);
  state.component = component;
  state.format = format;
  state.logger->set_level(to_spdlog(level));
  state.logger->set_pattern(format == LogFormat::kJson ? "%v" : "%H:%M:%S.%e %L %v");
  state.logger->flush_on(spdlog::level::debug);
}

void configure_log(std::string_view component, std::string_view level, std::string_view format) {
  LogLevel least = LogLevel::kInfo;
  if (level == "debug") least = LogLevel::kDebug;
  if (level == "warning") least = LogLevel::kWarning;
  if (level == "error") least = LogLevel::kError;
  configure_log(component, least, format == "json" ? LogFormat::kJson : LogFormat::kText);
}

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  auto& state = backend();
  if (!state.logger->should_log(to_spdlog(level))) return;
  std::string component;
  LogFormat format;
  {
    const std::lock_guard lock(state.mutex);
    component = state.component;
    format = state.format;
  }
  const auto all = all_fields(fields);
  const auto line =
      format == LogFormat::kJson ? json_line(component, level, message, all) : text_line(component, message, all);
  state.logger->log(to_spdlog(level), "{}", redacted(line));
}

LogScope::LogScope(std::initializer_list<LogField> fields) : count_(fields.size()) {
  scope_fields().insert(scope_fields().end(), fields);
}

LogScope::~LogScope() {
  auto& fields = scope_fields();
  fields.erase(fields.end() - static_cast<std::ptrdiff_t>(count_), fields.end());
}

}  // namespace espalier
