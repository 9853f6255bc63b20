#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// Structured logging to stderr: one line per event, a short message and key=value fields, as text or as one JSON object
// with ts (RFC 3339, UTC), level, component, msg and the fields.
//
//   log_info("object skipped", {{"path", path}, {"reason", status.message()}});
//
// The same thing has the same key everywhere: job, tenant, task, denoiser, attempt, rank, worker, request_id, err.
// Never log a tenant's asset names above debug, and never a secret; the secret of a key ("esk_…") is taken out of every
// line all the same. Thread-safe.
namespace espalier {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  LogField(std::string_view key, T value) : key_(key), value_(std::to_string(value)), quoted_(false) {}

  const std::string& key() const { return key_; }
  const std::string& value() const { return value_; }
  bool quoted() const { return quoted_; }  // text, as opposed to a number

 private:
  std::string key_;
  std::string value_;
  bool quoted_ = true;
};

// Fields that every line of this thread has until the end of the scope, after its own. Scopes nest.
class LogScope {
 public:
  explicit LogScope(std::initializer_list<LogField> fields);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  const size_t count_;
};

// Process-wide; call once at start-up. `component` appears in every line.
void configure_log(std::string_view component, LogLevel level, LogFormat format);
// From settings: level debug, info, warning or error; format text or json. Other names mean info and text.
void configure_log(std::string_view component, std::string_view level, std::string_view format);

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void log_debug(std::string_view m, std::initializer_list<LogField> f = {}) { log(LogLevel::kDebug, m, f); }
inline void log_info(std::string_view m, std::initializer_list<LogField> f = {}) { log(LogLevel::kInfo, m, f); }
inline void log_warning(std::string_view m, std::initializer_list<LogField> f = {}) { log(LogLevel::kWarning, m, f); }
inline void log_error(std::string_view m, std::initializer_list<LogField> f = {}) { log(LogLevel::kError, m, f); }

}  // namespace espalier
