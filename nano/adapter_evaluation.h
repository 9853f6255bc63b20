#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "nano/surface_agreement.h"

// How well a base, with and without adapters, makes the objects of a prepared dataset from one picture of each.
namespace espalier::nano {

struct EvaluationConfig {
  std::filesystem::path dataset;                // prepared dataset, zip or folder
  std::filesystem::path base;                   // base model folder
  std::vector<std::filesystem::path> adapters;  // of structure and geometry: each is judged by itself, then all at once
  double scale = 1;                             // of the adapters, 0 .. 2; 0 repeats the base
  int view = 8;                                 // the picture given; one the adapters were not trained on
  int seeds = 3;                                // noise seeds averaged over, 1 .. 100
};

struct Score {
  double iou = 0;  // of occupied cells
  double f1 = 0;   // with one cell of tolerance
  // Where dataset and base have shapes: of the generated surface, against the one decoded from the stored latent.
  std::optional<SurfaceAgreement> shape;      // in the generated cells
  std::optional<SurfaceAgreement> own_cells;  // in the object's own cells, which tells the geometry apart
};

struct Candidate {
  std::string name;            // "base", the adapter's file name, "all_adapters", "constant" or "nearest_view"
  std::vector<Score> objects;  // in the order of EvaluationReport::objects
  Score mean;
};

// "constant" is the one occupancy that agrees best with all objects; "nearest_view" answers with the object of the
// most similar other view in the dataset, which is what pure recognition would reach.
struct EvaluationReport {
  std::vector<std::string> objects;
  std::vector<Candidate> candidates;
};

// INVALID_ARGUMENT: a value out of range, an object without the view or without stored occupancy, an adapter of
// another base, or for geometry where there are no shapes; NOT_FOUND: a missing file.
Result<EvaluationReport> evaluate(const EvaluationConfig& config);

// As a table, or as one JSON object, each ending in a newline.
std::string to_table(const EvaluationReport& report);
std::string to_json(const EvaluationReport& report);

}  // namespace espalier::nano
