#include <ATen/ATen.h>
#include <torch/types.h>

#include <cstdio>
#include <map>

#include "absl/strings/str_format.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/manifest.h"
#include "nano/recipe.h"
#include "nano/training_run.h"
#include "nn/io/load_model.h"

namespace espalier::nano {
namespace {

struct Answers {
  std::string name;
  at::Tensor iou, f1;  // [N]
};

Answers judged(std::string name, const at::Tensor& got, const at::Tensor& want) {
  return {std::move(name), iou(got, want), f1_within_one(got, want)};
}

// The trained-on object whose picture is nearest.
at::Tensor nearest_training_answer(const Corpus& corpus, const at::Tensor& pictures) {
  const at::Tensor index = nearest_pictures(pictures, corpus.images.flatten(0, 1));
  return corpus.occupancy.index({index.div(corpus.images.size(1), std::string_view("floor"))}) > 0;
}

Result<Answers> base_answers(const Recipe& recipe, const at::Tensor& pictures, const at::Tensor& want) {
  constexpr int kSeeds = 3;
  ESP_ASSIGN(const nn::BaseModel base, nn::BaseModel::open(recipe.base));
  const nn::LoadOptions options{at::kFloat, c10::kCPU};
  ESP_ASSIGN(const auto flow, nn::load_ss_flow(base, options));
  ESP_ASSIGN(const auto decoder, nn::load_ss_decoder(base, options));
  ESP_ASSIGN(const auto encoder, nn::load_image_encoder(base, options));
  const at::Tensor tokens = encoder->forward(nn::normalize_pixels(pictures.to(at::kFloat) / 255));
  Answers mean{"nano base", at::zeros({want.size(0)}), at::zeros({want.size(0)})};
  for (int seed = 0; seed < kSeeds; ++seed) {
    ESP_ASSIGN(const at::Tensor got,
               sample_occupancy(*flow, *decoder, tokens, sampler_params(base.sparse_structure_sampler()),
                                static_cast<uint64_t>(seed)));
    mean.iou += iou(got, want) / kSeeds;
    mean.f1 += f1_within_one(got, want) / kSeeds;
  }
  return mean;
}

void print_by_family(const Corpus& held, const at::Tensor& ious) {
  std::map<std::string, std::pair<double, int>> families;
  for (size_t i = 0; i < held.families.size(); ++i) {
    auto& [sum, count] = families[held.families[i]];
    sum += ious[static_cast<int64_t>(i)].item<double>();
    ++count;
  }
  for (const auto& [family, value] : families) {
    std::fputs(absl::StrFormat("  %-16s %6.3f\n", family, value.first / value.second).c_str(), stdout);
  }
}

}  // namespace

Status report_held_out(const Recipe& recipe) {
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(const Corpus corpus, load_or_make_corpus(train_corpus(recipe)));
  ESP_ASSIGN(const Corpus held, load_or_make_corpus(held_corpus(recipe)));
  const at::Tensor pictures = held.images.select(1, kHeldView), want = held.occupancy > 0;
  ESP_ASSIGN(const Answers base, base_answers(recipe, pictures, want));
  const at::Tensor constant = best_constant(corpus.occupancy).unsqueeze(0).expand_as(want);
  std::fputs(absl::StrFormat("held-out objects, view %d %14s %8s\n", kHeldView, "IoU", "F1").c_str(), stdout);
  for (const Answers& answers : {base, judged("best constant", constant, want),
                                 judged("nearest training picture", nearest_training_answer(corpus, pictures), want)}) {
    std::fputs(absl::StrFormat("%-30s %8.3f %8.3f\n", answers.name, answers.iou.mean().item<double>(),
                               answers.f1.mean().item<double>())
                   .c_str(),
               stdout);
  }
  print_by_family(held, base.iou);
  return absl::OkStatus();
}

}  // namespace espalier::nano
