#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "common/status.h"

namespace espalier::coordinator {

// Messages as stored in the database: readable, and tolerant of fields that another version knows.
std::string to_json(const google::protobuf::Message& message);

// DATA_LOSS: not what to_json wrote for a `Message`. An empty text gives an empty message.
Status parse_json(const std::string& text, google::protobuf::Message* message);

google::protobuf::Timestamp to_timestamp(int64_t micros);
int64_t to_micros(const google::protobuf::Timestamp& time);

}  // namespace espalier::coordinator
