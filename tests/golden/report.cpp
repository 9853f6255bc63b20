#include <torch/types.h>

#include <cmath>
#include <sstream>

#include "tests/golden/golden.h"

namespace espalier::golden {

void Report::record(const std::string& what, double error, double tolerance, double share) {
  ++comparisons_;
  std::ostringstream text;
  text << what << " error " << error << " (tolerance " << tolerance << ")";
  if (!(share <= worst_share_)) {
    worst_share_ = share;
    worst_ = text.str();
  }
  if (!(share <= 1)) failures_ += "; FAILED " + text.str();
}

void Report::compare(const std::string& what, const at::Tensor& got, const at::Tensor& want, double atol, double rtol) {
  if (got.sizes() != want.sizes()) {
    std::ostringstream text;
    text << what << " has shape " << got.sizes() << ", expected " << want.sizes();
    return fail(text.str());
  }
  if (want.numel() == 0) return record(what, 0, atol, 0);
  const auto expected = want.to(torch::kFloat64);
  const auto error = (got.to(torch::kFloat64) - expected).abs();
  const auto allowed = (expected.abs() * rtol + atol).clamp_min(1e-300);
  const auto share = (error / allowed).nan_to_num(std::numeric_limits<double>::infinity());
  const auto at = share.argmax().item<int64_t>();
  record(what, error.flatten()[at].item<double>(), allowed.flatten()[at].item<double>(),
         share.flatten()[at].item<double>());
}

void Report::compare_max_and_mean(const std::string& what, const at::Tensor& got, const at::Tensor& want,
                                  double max_abs, double mean_abs) {
  compare(what, got, want, max_abs, 0);
  if (got.sizes() != want.sizes() || want.numel() == 0) return;
  compare(what + " (mean)", (got.to(torch::kFloat64) - want.to(torch::kFloat64)).abs().mean().item<double>(), 0,
          mean_abs);
}

void Report::compare(const std::string& what, double got, double want, double atol, double rtol) {
  const double allowed = std::max(atol + rtol * std::abs(want), 1e-300);
  const double error = std::abs(got - want);
  record(what, error, allowed, std::isnan(error) ? std::numeric_limits<double>::infinity() : error / allowed);
}

void Report::expect(const std::string& what, bool holds) { record(what, holds ? 0 : 1, 0, holds ? 0 : 2); }

void Report::fail(const std::string& why) {
  ++comparisons_;
  failures_ += "; FAILED " + why;
}

std::string Report::summary() const { return "worst: " + worst_ + failures_; }

const at::Tensor& named(const std::map<std::string, at::Tensor>& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::runtime_error("no tensor " + name);
  return found->second;
}

}  // namespace espalier::golden
