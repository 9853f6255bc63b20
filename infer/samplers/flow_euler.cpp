#include "infer/samplers/flow_euler.h"

#include <torch/types.h>

#include <numeric>

#include "absl/strings/str_cat.h"
#include "infer/samplers/time_grid.h"

namespace espalier::infer {
namespace {

bool is_guided(const SamplerParams& params, double t) {
  const double g = params.guidance_strength;
  return params.interval_start <= t && t <= params.interval_end && g != 0 && g != 1;
}

// [B, 1, ...] standard deviation of each sample of a dense batch, with Bessel's correction.
at::Tensor dense_spread(const at::Tensor& x) {
  std::vector<int64_t> dims(x.dim() - 1);
  std::iota(dims.begin(), dims.end(), 1);
  return x.std(dims, /*unbiased=*/true, /*keepdim=*/true);
}

// [N, 1] population standard deviation of each sample, repeated over its rows. Two-moment form, as the reference; the
// difference of the moments can come out below 0 by rounding.
at::Tensor sparse_spread(const at::Tensor& x, const std::vector<int64_t>& lengths) {
  std::vector<at::Tensor> rows;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    const auto sample = x.slice(0, start, start + length);  // [length, C]
    const auto mean = sample.mean(1).mean();
    const auto variance = (sample * sample).mean(1).mean() - mean * mean;
    rows.push_back(variance.clamp_min(0).sqrt().reshape({1, 1}).expand({length, 1}));
    start += length;
  }
  return torch::cat(rows, 0);
}

// One run's velocity field: guidance around the network. Classifier-free guidance (Ho and Salimans 2022) in an interval
// of times (Kynkäänniemi et al. 2024), its data estimate rescaled against over-saturation (Lin et al. 2024).
class GuidedField {
 public:
  GuidedField(const Predict& predict, const SamplerParams& params, const std::vector<int64_t>& lengths,
              const SamplerHooks& hooks)
      : predict_(predict), params_(params), lengths_(lengths), hooks_(hooks), total_(evaluations(params)) {}

  Result<at::Tensor> velocity(const at::Tensor& x, double t) {
    const double g = params_.guidance_strength;
    if (!is_guided(params_, t)) {
      const bool inside = params_.interval_start <= t && t <= params_.interval_end;
      return evaluate(x, t, inside && g == 0 ? Conditioning::kNothing : Conditioning::kImage);
    }
    ESP_ASSIGN(const at::Tensor with, evaluate(x, t, Conditioning::kImage));
    ESP_ASSIGN(const at::Tensor without, evaluate(x, t, Conditioning::kNothing));
    const at::Tensor guided = with * g + without * (1 - g);
    return params_.guidance_rescale > 0 ? rescaled(x, t, with, guided) : guided;
  }

  at::Tensor data_of(const at::Tensor& x, double t, const at::Tensor& velocity) const {
    return x * (1 - params_.sigma_min) - velocity * noise_share(t);
  }

 private:
  double noise_share(double t) const { return params_.sigma_min + (1 - params_.sigma_min) * t; }

  Result<at::Tensor> evaluate(const at::Tensor& x, double t, Conditioning conditioning) {
    if (hooks_.stop.stop_requested()) return absl::CancelledError("stopped on request");
    at::Tensor velocity = predict_(x, network_time(t), conditioning);
    if (hooks_.progress) hooks_.progress(++done_, total_);
    return velocity;
  }

  // Gives the guided data estimate the spread of the conditional one, in part.
  at::Tensor rescaled(const at::Tensor& x, double t, const at::Tensor& with, const at::Tensor& guided) const {
    const double phi = params_.guidance_rescale;
    const at::Tensor data_with = data_of(x, t, with), data_guided = data_of(x, t, guided);
    const at::Tensor ratio = spread(data_with) / spread(data_guided);
    // A sample without any spread cannot be rescaled.
    const at::Tensor usable = torch::where(ratio.isfinite(), ratio, torch::ones_like(ratio));
    const at::Tensor data = data_guided * usable * phi + data_guided * (1 - phi);
    return (x * (1 - params_.sigma_min) - data) / noise_share(t);
  }

  at::Tensor spread(const at::Tensor& x) const {
    return lengths_.empty() ? dense_spread(x) : sparse_spread(x, lengths_);
  }

  const Predict& predict_;
  const SamplerParams& params_;
  const std::vector<int64_t>& lengths_;
  const SamplerHooks& hooks_;
  int total_;
  int done_ = 0;
};

}  // namespace

int evaluations(const SamplerParams& params) {
  int count = 0;
  for (const TimeStep& step : time_grid(params.steps, params.rescale_t)) count += is_guided(params, step.t) ? 2 : 1;
  return count;
}

Result<at::Tensor> sample(const Predict& predict, const at::Tensor& noise, const SamplerParams& params,
                          const std::vector<int64_t>& lengths, const SamplerHooks& hooks) {
  if (params.steps < 1)
    return absl::InvalidArgumentError(absl::StrCat("steps is ", params.steps, "; must be at least 1"));
  if (!lengths.empty() && std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) != noise.size(0)) {
    return absl::InvalidArgumentError("the lengths of the samples do not add up to the rows of the noise");
  }
  GuidedField field(predict, params, lengths, hooks);
  at::Tensor x = noise;
  const std::vector<TimeStep> grid = time_grid(params.steps, params.rescale_t);
  for (size_t i = 0; i < grid.size(); ++i) {
    const auto [t, t_prev] = grid[i];
    ESP_ASSIGN(const at::Tensor velocity, field.velocity(x, t));
    const at::Tensor next = x - velocity * (t - t_prev);
    if (hooks.trace) hooks.trace(static_cast<int>(i), next, field.data_of(x, t, velocity));
    x = next;
  }
  return x;
}

}  // namespace espalier::infer
