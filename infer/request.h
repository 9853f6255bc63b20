#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bake/bake.h"
#include "common/status.h"
#include "image/foreground.h"
#include "infer/samplers/params.h"
#include "mesh/glb_writer.h"
#include "mesh/scene.h"

// What a caller asks for, and the check of everything that needs no network.
namespace espalier::infer {

// One thing wrong with a request.
struct Fault {
  std::string field;    // path in the request, e.g. "sparse_structure.steps" or "adapters[1].scale"
  std::string message;  // what is wrong and what is allowed
};

// INVALID_ARGUMENT listing every fault as "field: message"; OK when there is none.
Status to_status(const std::vector<Fault>& faults);

// What is absent keeps the base model's own value; the ranges are in samplers/limits.h.
struct SamplerOverrides {
  std::optional<int> steps;
  std::optional<double> guidance_strength;
  std::optional<double> guidance_rescale;
  std::optional<double> interval_start;  // not above the end
  std::optional<double> interval_end;
  std::optional<double> rescale_t;
};

struct AdapterUse {
  std::filesystem::path file;   // .safetensors, or a folder in PEFT form
  double scale = 1;             // 0..2; 0 gives exactly the base
  bool low_resolution = false;  // of geometry: for the first pass of a cascade instead of the last
};

// kAny: as far as the base goes, and without a texture that no file would hold.
enum class LastStage { kAny, kStructure, kShape, kTexture };

enum class FileFormat {
  kGlb,        // binary glTF 2.0, Y up
  kObj,        // Wavefront OBJ, Y up
  kPly,        // binary little endian, Z up
  kStl,        // binary, Z up
  kVxz,        // the decoded O-Voxel grid; needs a shape
  kNpz,        // likewise, as NumPy arrays
  kOccupancy,  // .npz of the occupied cells of the structure
  kPreview,    // PNG; made for OutputOptions::preview, not asked for as a format
};

// The format that a file's extension stands for (".npz" is kNpz); none for another one.
std::optional<FileFormat> format_of(const std::filesystem::path& file);

// A name for a number of triangles and a texture size.
struct Preset {
  std::string_view name;
  int triangles, texels;
};

// Null when there is none of that name; "" stands for the usual one.
const Preset* find_preset(std::string_view name);

// A picture of an object: views side by side.
struct PreviewSettings {
  int size = 512;  // pixels per side of a view, 64..1024
  int views = 1;   // evenly around the object, 1..8
};

// Which files an object is written to, and how.
struct OutputOptions {
  std::vector<FileFormat> formats{FileFormat::kGlb};  // each once
  std::string preset;                                 // max, web, game, mobile, lowpoly; empty: 500000, 2048
  std::optional<int> decimation_target;               // triangles, 1000..16777216; absent: the preset's
  bool fill_holes = true;
  // Make the shape's surface anew as the boundary of what is near it: closed, but thicker (ovoxel/remesh.h).
  // Absent: yes, where there is a shape.
  std::optional<bool> remesh;
  double remesh_band = 1;     // 0.5..4 voxels
  double remesh_project = 0;  // 0..1
  // Of a texture in .glb files:
  std::optional<int> texture_size;  // texels per side, a power of two in 64..4096; absent: the preset's
  std::optional<mesh::TextureFormat> texture_format;  // absent: PNG
  std::optional<bake::AlphaChoice> alpha_mode;        // absent: opaque
  bool geometry_only = false;                         // leave it out
  std::optional<PreviewSettings> preview;             // a picture beside the files; absent: none

  int triangles() const;  // at most
  int texels() const;     // per side
};

struct GenerateRequest : OutputOptions {
  std::string image;  // encoded: PNG, JPEG or WebP
  image::BackgroundRemoval background = image::BackgroundRemoval::kAuto;
  std::optional<uint64_t> seed;  // 0 .. 2^31-1; absent: drawn
  int resolution = 0;            // 512, 1024 or 1536 as the base has; 0: the pipeline's, or the base's smallest
  std::string pipeline;          // infer/pipeline.h; empty: by the resolution
  LastStage last_stage = LastStage::kAny;
  int samples = 1;                   // 1..8, different noise from one seed
  std::vector<AdapterUse> adapters;  // at most 8; those of one network add up
  SamplerOverrides sparse_structure;
  SamplerOverrides shape;  // of every pass
  SamplerOverrides texture;
  int max_num_tokens = 49152;  // 16..1048576: a cascade with as many, over all samples, goes to a lower resolution
  // Halve the occupancy grid for resolution 512 where no shape is generated, to the grid that shapes start from.
  bool pooled_structure = false;
  // An existing folder that gets the latents of each sample, for Engine::extract; empty: not kept. Needs a shape.
  std::filesystem::path state_folder;
};

// A mesh and the image that its new texture is to fit. Of the output options only those of the texture count; the file
// is .glb.
struct RetextureRequest : OutputOptions {
  mesh::Scene mesh;       // materials are not looked at
  bool keep_uvs = false;  // the texture coordinates of its only mesh, instead of new ones
  std::string image;
  image::BackgroundRemoval background = image::BackgroundRemoval::kAuto;
  std::optional<uint64_t> seed;
  int resolution = 0;                // 512, 1024 or 1536; 0: the base's smallest
  std::vector<AdapterUse> adapters;  // of texture
  SamplerOverrides texture;
};

inline constexpr int kMaxSamples = 8;
inline constexpr size_t kMaxAdapters = 8;

// The overrides laid over the base's values. Faults are appended under `prefix`.
SamplerParams apply(const SamplerOverrides& overrides, SamplerParams base, const std::string& prefix,
                    std::vector<Fault>& faults);

// Ranges and contradictions of the options, under "formats", "mesh" and "preview".
void check_outputs(const OutputOptions& options, std::vector<Fault>& faults);

// What may not be asked of files without a texture.
void check_no_texture(const OutputOptions& options, const std::string& why, std::vector<Fault>& faults);

// Ranges of a seed and of adapters' number and scales.
void check_seed(const std::optional<uint64_t>& seed, std::vector<Fault>& faults);
void check_adapters(const std::vector<AdapterUse>& adapters, std::vector<Fault>& faults);

// Ranges of every field but the image, the adapters' files, the samplers and what selects the pipeline.
void check_ranges(const GenerateRequest& request, std::vector<Fault>& faults);

// A seed for a request without one: 0 .. 2^31-1.
uint64_t random_seed();

}  // namespace espalier::infer
