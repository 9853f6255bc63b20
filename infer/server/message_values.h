#pragma once

#include <optional>
#include <string>

#include "espalier/v1/inference.pb.h"
#include "infer/engine.h"
#include "infer/request.h"

// Names of the engine as the interface has them.
namespace espalier::infer {

// A pipeline's name; empty for UNSPECIFIED, none for unknown values.
std::optional<std::string> from_message(v1::PipelineType type);
v1::PipelineType to_message(const std::string& pipeline);

// None for UNSPECIFIED and unknown values.
std::optional<FileFormat> from_message(v1::OutputFormat format);

// None for unknown values.
std::optional<std::string> from_message(v1::Preset preset);  // empty for UNSPECIFIED

v1::Representation to_message(Representation representation);

struct FileKind {
  v1::OutputFormat format;
  const char* stem;  // "model"
  const char* extension;
  const char* content_type;
};

const FileKind& kind_of(FileFormat format);

// "model.glb"; "model_1.glb" for the second of several samples.
std::string file_name(const FileKind& kind, int sample, int samples);

}  // namespace espalier::infer
