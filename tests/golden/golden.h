#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status.h"

namespace at {
class Tensor;
}

// The golden runner: each case folder made by the reference is replayed with our code and compared.
namespace espalier::golden {

// The verdict on one case. A case passes when every comparison stayed within its tolerance.
class Report {
 public:
  // |got - want| <= atol + rtol * |want| element by element; shapes must agree; NaN never passes. Integer and bool
  // tensors must be equal when both tolerances are 0.
  void compare(const std::string& what, const at::Tensor& got, const at::Tensor& want, double atol, double rtol);
  // max |got - want| <= max_abs and mean |got - want| <= mean_abs.
  void compare_max_and_mean(const std::string& what, const at::Tensor& got, const at::Tensor& want, double max_abs,
                            double mean_abs);
  void compare(const std::string& what, double got, double want, double atol, double rtol = 0);
  void expect(const std::string& what, bool holds);
  void fail(const std::string& why);

  bool passed() const { return failures_.empty() && comparisons_ > 0; }
  std::string summary() const;  // the comparison closest to (or furthest over) its tolerance, then the failures

 private:
  void record(const std::string& what, double error, double tolerance, double share);

  int comparisons_ = 0;
  std::string worst_ = "nothing compared";
  double worst_share_ = -1;  // error / tolerance of the worst comparison
  std::string failures_;
};

// The tensor of that name. Throws an error that names it, which fails the case.
const at::Tensor& named(const std::map<std::string, at::Tensor>& tensors, const std::string& name);

struct Case {
  std::filesystem::path folder;
  std::string name;            // the folder's name
  nlohmann::json description;  // case.json, or config.json for `models`
  nlohmann::json index;        // models only: this case's entry of index.json
};

// UNIMPLEMENTED: this kind of case is not built yet; any other error: the case failed.
using Runner = Status (*)(const Case&, Report&);

Status run_models_case(const Case&, Report&);
Status run_sampler_case(const Case&, Report&);
Status run_imgprep_case(const Case&, Report&);
Status run_train_case(const Case&, Report&);
Status run_prepared_dataset_case(const Case&, Report&);  // of the train cases
Status run_render_case(const Case&, Report&);
Status run_dual_grid_case(const Case&, Report&);
Status run_pbr_voxels_case(const Case&, Report&);
Status run_remesh_case(const Case&, Report&);
Status run_vxz_case(const Case&, Report&);
Status run_import_case(const Case&, Report&);

}  // namespace espalier::golden
