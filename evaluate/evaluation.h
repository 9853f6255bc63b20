#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "evaluate/cell_agreement.h"
#include "evaluate/color_agreement.h"
#include "evaluate/surface_agreement.h"
#include "image/image.h"

// How well a base, with and without adapters, makes the objects of a prepared dataset from one picture of each.
namespace espalier::evaluate {

struct EvaluationConfig {
  std::filesystem::path dataset;                // prepared dataset, zip or folder
  std::filesystem::path base;                   // base model folder
  std::string device = "cpu";                   // as infer::EngineOptions
  std::vector<std::filesystem::path> adapters;  // used together, at most 8
  bool each = false;                            // judge each adapter by itself, too
  double scale = 1;                             // of the adapters, 0 .. 2; 0 repeats the base
  int view = 8;                                 // the picture given; one that the adapters were not trained on
  int seeds = 1;                                // noise seeds averaged over, 1 .. 100
  int max_objects = 0;                          // judge no more than so many, the first ones; 0: all
  int picture_size = 192;                       // pixels per side of Answer::picture, 16 .. 1024; 0: none are made
  std::stop_token stop;
  std::function<void(const std::string& candidate, int done, int objects)> progress;  // may be empty
};

// Against what the object's stored latents decode to, which is the best that the base could do.
struct Score {
  CellAgreement structure;                // of the occupied cells that the shape starts from
  std::optional<SurfaceAgreement> shape;  // where dataset and base have shapes
  std::optional<ColorAgreement> color;    // where they have textures
};

struct Answer {
  Score score;           // mean over the seeds
  image::Image picture;  // RGB, of the first seed's object; empty when none was asked for or there is no shape
};

struct Candidate {
  std::string name;             // "base", an adapter's file name, or "adapters" for all
  std::vector<Answer> answers;  // in the order of EvaluationReport::objects
  Score mean;
};

struct EvaluatedObject {
  std::string name;
  image::Image given;    // RGBA, as stored: what was generated from
  image::Image picture;  // the object itself, as Answer::picture
};

struct EvaluationReport {
  int view = 0;
  bool held_out_objects = false;  // the objects are the dataset's split "val"; else all, from a held-out view
  std::vector<EvaluatedObject> objects;
  std::vector<Candidate> candidates;
};

// Judges the objects of split "val", or all where there are none, in the order of the dataset. A candidate that makes
// nothing of a picture gets the worst scores for it.
//
// INVALID_ARGUMENT: a value out of range, no object with the view and stored occupancy, an adapter that does not fit;
// NOT_FOUND: a missing file; CANCELLED: stopped.
Result<EvaluationReport> evaluate(const EvaluationConfig& config);

}  // namespace espalier::evaluate
