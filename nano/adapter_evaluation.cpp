#include "nano/adapter_evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <memory>

#include "dataset/reader.h"
#include "infer/adapters.h"
#include "infer/networks.h"
#include "nano/evaluation.h"
#include "nano/evaluation_items.h"
#include "nano/shape_evaluation.h"
#include "nano/shape_generation.h"

namespace espalier::nano {
namespace {

// The base at work on the items' pictures.
struct Bench {
  std::unique_ptr<infer::Networks> networks;
  std::shared_ptr<nn::SparseStructureFlow> flow;
  std::shared_ptr<nn::SparseStructureDecoder> decoder;
  infer::SamplerParams structure_sampler, shape_sampler;
  Items items;
  std::map<int, at::Tensor> tokens;               // by tier [N, L, C]
  const infer::Pipeline* pipeline = nullptr;      // of the items' tier; null: shapes are not judged
  const infer::Pipeline* in_own_cells = nullptr;  // likewise, from cells of the tier's own latent
  std::vector<infer::DecodedShape> wanted;        // what the stored shape latents decode to
};

Status open_networks(const std::filesystem::path& folder, Bench& bench) {
  ESP_ASSIGN(nn::BaseModel base, nn::BaseModel::open(folder));
  ESP_ASSIGN(bench.networks, infer::Networks::open(std::move(base), {}));
  ESP_ASSIGN(bench.flow, bench.networks->structure_flow.get());
  ESP_ASSIGN(bench.decoder, bench.networks->structure_decoder.get());
  bench.structure_sampler = sampler_params(bench.networks->base().sparse_structure_sampler());
  bench.shape_sampler = sampler_params(bench.networks->base().shape_slat_sampler());
  return absl::OkStatus();
}

// The rows of a latent as those of the only sample of a batch.
at::Tensor cells_of(const StructuredLatent& latent) { return at::constant_pad_nd(latent.coords, {1, 0}); }

Status prepare_shapes(Bench& bench) {
  bench.pipeline = infer::pipeline_for(bench.items.tier);
  bench.in_own_cells = infer::find_pipeline(std::to_string(bench.items.tier));
  if (bench.pipeline == nullptr || !bench.networks->can_run(*bench.pipeline)) {
    return absl::InvalidArgumentError("dataset: the base has no network of the tier of its shape latents");
  }
  ESP_ASSIGN(const auto decoder, bench.networks->shape_decoder.get());
  const auto voxels = infer::scaled(*bench.in_own_cells, bench.networks->base().grid_scale()).voxels;
  for (const StructuredLatent& latent : bench.items.latents) {
    ESP_ASSIGN(const auto cells, nn::SparseTensor::create(latent.feats, cells_of(latent), 1));
    ESP_ASSIGN(bench.wanted.emplace_back(), infer::decode_shape(*decoder, {cells, voxels}, 0));
  }
  return absl::OkStatus();
}

Result<Bench> make_bench(const EvaluationConfig& config) {
  Bench bench;
  ESP_TRY(open_networks(config.base, bench));
  ESP_ASSIGN(const auto data, dataset::PreparedDataset::open(config.dataset));
  ESP_ASSIGN(bench.items, load_items(data, config.view, bench.networks->base().grid_scale()));
  if (bench.items.tier != 0 && bench.networks->has_shape()) ESP_TRY(prepare_shapes(bench));
  ESP_ASSIGN(const auto encoder, bench.networks->encoder.get());
  for (const auto& [tier, pictures] : bench.items.pictures) {
    bench.tokens[tier] = encoder->forward(nn::normalize_pixels(pictures));
  }
  return bench;
}

Result<infer::RequestAdapters> read(const std::vector<std::filesystem::path>& files, double scale, Bench& bench) {
  infer::GenerateRequest request;
  for (const std::filesystem::path& file : files) request.adapters.push_back({file, scale});
  std::vector<infer::Fault> faults;
  infer::RequestAdapters adapters = infer::read_adapters(request, bench.pipeline, *bench.networks, faults);
  ESP_TRY(infer::to_status(faults));
  return adapters;
}

// Adds one answer's scores to the candidate's running sums.
void add_scores(Candidate& candidate, const at::Tensor& got, const at::Tensor& want, double weight) {
  const at::Tensor ious = iou(got, want), f1s = f1_within_one(got, want);
  candidate.objects.resize(static_cast<size_t>(want.size(0)));
  for (size_t i = 0; i < candidate.objects.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    candidate.objects[i].iou += weight * ious[row].item<double>();
    candidate.objects[i].f1 += weight * f1s[row].item<double>();
  }
}

void add(std::optional<SurfaceAgreement>& sum, const SurfaceAgreement& one, double weight) {
  if (!sum) sum = SurfaceAgreement{0, 0};
  sum->chamfer += weight * one.chamfer;
  sum->f_score += weight * one.f_score;
}

Candidate averaged(Candidate candidate) {
  const double weight = 1.0 / static_cast<double>(candidate.objects.size());
  for (const Score& score : candidate.objects) {
    candidate.mean.iou += weight * score.iou;
    candidate.mean.f1 += weight * score.f1;
    if (score.shape) add(candidate.mean.shape, *score.shape, weight);
    if (score.own_cells) add(candidate.mean.own_cells, *score.own_cells, weight);
  }
  return candidate;
}

// No surface agrees with nothing.
Result<SurfaceAgreement> shape_score(const Bench& bench, size_t object, const infer::Pipeline& pipeline,
                                     const at::Tensor& cells, const infer::RequestAdapters& adapters, uint64_t seed) {
  std::map<int, at::Tensor> tokens;
  for (const auto& [tier, all] : bench.tokens) tokens[tier] = all.narrow(0, static_cast<int64_t>(object), 1);
  const auto got = generated_shape(*bench.networks, bench.shape_sampler, pipeline, cells, tokens, adapters, seed);
  if (absl::IsFailedPrecondition(got.status())) return SurfaceAgreement{};
  ESP_TRY(got.status());
  return mesh_agreement(*got, bench.wanted[object]);
}

Status add_shapes(Candidate& candidate, const Bench& bench, const at::Tensor& occupancy,
                  const infer::RequestAdapters& adapters, uint64_t seed, double weight) {
  const int64_t side = infer::scaled(*bench.pipeline, bench.networks->base().grid_scale()).structure;
  for (size_t i = 0; i < bench.wanted.size(); ++i) {
    const at::Tensor generated = occupied_cells(occupancy[static_cast<int64_t>(i)], side);
    ESP_ASSIGN(const SurfaceAgreement whole, shape_score(bench, i, *bench.pipeline, generated, adapters, seed));
    ESP_ASSIGN(const SurfaceAgreement own,
               shape_score(bench, i, *bench.in_own_cells, cells_of(bench.items.latents[i]), adapters, seed));
    add(candidate.objects[i].shape, whole, weight);
    add(candidate.objects[i].own_cells, own, weight);
  }
  return absl::OkStatus();
}

Result<Candidate> judge(const std::string& name, const Bench& bench, const infer::RequestAdapters& adapters,
                        int seeds) {
  Candidate candidate{name, {}, {}};
  ESP_ASSIGN(const auto attached, infer::attach(adapters.structure, bench.flow->lora_targets()));
  for (int i = 0; i < seeds; ++i) {
    const auto seed = static_cast<uint64_t>(i);
    ESP_ASSIGN(const at::Tensor got, sample_occupancy(*bench.flow, *bench.decoder, bench.tokens.at(kStructureTier),
                                                      bench.structure_sampler, seed));
    if (got.sizes() != bench.items.occupancy.sizes()) {
      return absl::InvalidArgumentError("dataset: its occupancy grid is not the base's");
    }
    add_scores(candidate, got, bench.items.occupancy, 1.0 / seeds);
    if (bench.pipeline != nullptr) ESP_TRY(add_shapes(candidate, bench, got, adapters, seed, 1.0 / seeds));
  }
  return averaged(std::move(candidate));
}

Status add_baselines(const Bench& bench, EvaluationReport& report) {
  const Items& items = bench.items;
  Candidate constant{"constant", {}, {}}, nearest{"nearest_view", {}, {}};
  add_scores(constant, best_constant(items.occupancy).unsqueeze(0).expand_as(items.occupancy), items.occupancy, 1);
  const at::Tensor found = nearest_pictures(items.pictures.at(kStructureTier), items.other_views);
  const at::Tensor answer = at::tensor(items.other_owner).index({found});
  add_scores(nearest, items.occupancy.index({answer}), items.occupancy, 1);
  for (size_t i = 0; i < bench.wanted.size(); ++i) {
    const auto owner = static_cast<size_t>(answer[static_cast<int64_t>(i)].item<int64_t>());
    ESP_ASSIGN(nearest.objects[i].shape, mesh_agreement(bench.wanted[owner], bench.wanted[i]));
  }
  report.candidates.push_back(averaged(std::move(constant)));
  report.candidates.push_back(averaged(std::move(nearest)));
  return absl::OkStatus();
}

Status check(const EvaluationConfig& config) {
  if (!(config.scale >= 0 && config.scale <= 2)) return absl::InvalidArgumentError("scale: must be 0 to 2");
  if (config.seeds < 1 || config.seeds > 100) return absl::InvalidArgumentError("seeds: must be 1 to 100");
  if (config.view < 0) return absl::InvalidArgumentError("view: must be 0 or more");
  return absl::OkStatus();
}

}  // namespace

Result<EvaluationReport> evaluate(const EvaluationConfig& config) {
  ESP_TRY(check(config));
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(Bench bench, make_bench(config));
  EvaluationReport report;
  report.objects = bench.items.names;
  ESP_ASSIGN(report.candidates.emplace_back(), judge("base", bench, {}, config.seeds));
  for (const std::filesystem::path& path : config.adapters) {
    ESP_ASSIGN(const infer::RequestAdapters one, read({path}, config.scale, bench));
    ESP_ASSIGN(report.candidates.emplace_back(), judge(path.filename().string(), bench, one, config.seeds));
  }
  if (config.adapters.size() > 1) {
    ESP_ASSIGN(const infer::RequestAdapters all, read(config.adapters, config.scale, bench));
    ESP_ASSIGN(report.candidates.emplace_back(), judge("all_adapters", bench, all, config.seeds));
  }
  ESP_TRY(add_baselines(bench, report));
  return report;
}

}  // namespace espalier::nano
