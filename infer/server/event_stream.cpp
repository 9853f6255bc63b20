#include "infer/server/event_stream.h"

#include "common/sha256.h"
#include "infer/server/message_values.h"

namespace espalier::infer {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

Status lost_reader() { return absl::CancelledError("the caller has gone away"); }

Status send_file(EventWriter& writer, const GeneratedFile& generated, int sample, int samples) {
  const FileKind& kind = kind_of(generated.format);
  const std::string& bytes = generated.bytes;
  v1::GenerateEvent event;
  auto& file = *event.mutable_file();
  file.set_name(file_name(kind, sample, samples));
  file.set_content_type(kind.content_type);
  file.set_size_bytes(static_cast<int64_t>(bytes.size()));
  file.set_sha256(sha256_hex(bytes));
  file.set_format(kind.format);
  file.set_sample(sample);
  if (!writer.Write(event)) return lost_reader();
  for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    event.mutable_chunk()->set_data(bytes.substr(at, kChunkBytes));
    if (!writer.Write(event)) return lost_reader();
  }
  return absl::OkStatus();
}

void describe(const GeneratedSample& sample, v1::GeneratedObject& object) {
  object.set_active_voxels(static_cast<int64_t>(sample.voxels.size()));
  object.set_shape_tokens(sample.shape_tokens);
  object.set_shape_voxels(sample.shape_voxels);
  object.set_vertices(sample.vertices);
  object.set_triangles(sample.triangles);
  object.set_holes_closed(sample.holes_closed);
}

}  // namespace

GenerateHooks event_hooks(const std::string& request_id, const std::string& base, EventWriter& writer,
                          std::stop_source& stop) {
  GenerateHooks hooks;
  hooks.stop = stop.get_token();
  hooks.started = [&writer, &stop, request_id, base](uint64_t seed) {
    v1::GenerateEvent event;
    event.mutable_started()->set_request_id(request_id);
    event.mutable_started()->set_seed(seed);
    event.mutable_started()->set_base(base);
    if (!writer.Write(event)) stop.request_stop();
  };
  hooks.progress = [&writer, &stop](std::string_view stage, int done, int total) {
    v1::GenerateEvent event;
    event.mutable_progress()->set_stage(std::string(stage));
    event.mutable_progress()->set_done(done);
    event.mutable_progress()->set_total(total);
    if (!writer.Write(event)) stop.request_stop();
  };
  return hooks;
}

Status send_files(EventWriter& writer, const GeneratedAssets& assets) {
  const int samples = static_cast<int>(assets.samples.size());
  for (int i = 0; i < samples; ++i) {
    for (const GeneratedFile& file : assets.samples[static_cast<size_t>(i)].files) {
      ESP_TRY(send_file(writer, file, i, samples));
    }
  }
  return absl::OkStatus();
}

Status send_finished(EventWriter& writer, const GeneratedAssets& assets,
                     const std::function<void(v1::GenerateFinished&)>& complete) {
  v1::GenerateEvent event;
  auto& finished = *event.mutable_finished();
  for (const auto& [stage, seconds] : assets.seconds) {
    auto& entry = *finished.add_seconds();
    entry.set_stage(stage);
    entry.set_seconds(seconds);
  }
  finished.set_active_voxels(static_cast<int64_t>(assets.samples.front().voxels.size()));
  finished.set_structure_resolution(assets.structure_resolution);
  finished.set_representation(to_message(assets.representation));
  finished.set_textured(assets.textured);
  finished.set_pipeline_type(to_message(assets.pipeline));
  finished.set_resolution(assets.resolution);
  for (const GeneratedSample& sample : assets.samples) describe(sample, *finished.add_objects());
  for (const std::string& warning : assets.warnings) finished.add_warnings(warning);
  if (complete) complete(finished);
  return writer.Write(event) ? absl::OkStatus() : lost_reader();
}

}  // namespace espalier::infer
