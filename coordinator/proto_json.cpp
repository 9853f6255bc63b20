#include "coordinator/proto_json.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_cat.h"

namespace espalier::coordinator {

namespace util = google::protobuf::util;

std::string to_json(const google::protobuf::Message& message) {
  std::string text;
  util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return "{}";  // only for unknown Any types, which no stored message has
  return text;
}

Status parse_json(const std::string& text, google::protobuf::Message* message) {
  message->Clear();
  if (text.empty()) return absl::OkStatus();
  util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = util::JsonStringToMessage(text, message, options);
  if (status.ok()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("stored ", message->GetTypeName(), ": ", status.ToString()));
}

google::protobuf::Timestamp to_timestamp(int64_t micros) { return util::TimeUtil::MicrosecondsToTimestamp(micros); }

int64_t to_micros(const google::protobuf::Timestamp& time) { return util::TimeUtil::TimestampToMicroseconds(time); }

}  // namespace espalier::coordinator
