#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>

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

std::string text_line(std::string_view component, std::string_view message, std::initializer_list<LogField> fields) {
  std::string line(component);
  line.append(": ").append(message);
  for (const auto& field : fields) {
    const bool quote = field.quoted() && field.value().find_first_of(" \t\n\"=") != std::string::npos;
    line.append(" ").append(field.key()).append("=");
    line.append(quote ? nlohmann::json(field.value()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                      : field.value());
  }
  return line;
}

std::string json_line(std::string_view component, LogLevel level, std::string_view message,
                      std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  line["ts"] = std::chrono::duration<double>(now).count();
  line["level"] = spdlog::level::to_string_view(to_spdlog(level)).data();
  line["component"] = component;
  line["msg"] = message;
  for (const auto& field : fields) line[field.key()] = field.value();
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
  const auto line =
      format == LogFormat::kJson ? json_line(component, level, message, fields) : text_line(component, message, fields);
  state.logger->log(to_spdlog(level), "{}", line);
}

}  // namespace espalier
