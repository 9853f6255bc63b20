#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/pipeline.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"

namespace espalier::infer {

// One network of a base: kept in memory, or loaded anew each time.
template <class Network>
class NetworkSlot {
 public:
  using Load = std::function<Result<std::unique_ptr<Network>>(const nn::LoadOptions&)>;

  NetworkSlot() = default;
  // `options`: how it runs.
  NetworkSlot(Load load, nn::LoadOptions options) : load_(std::move(load)), options_(options) {}

  Status keep() {
    ESP_ASSIGN(kept_, load_(options_));
    return absl::OkStatus();
  }

  // Ready to run. When it is not kept the caller's pointer is the only one: the memory is free again with it.
  Result<std::shared_ptr<Network>> get() const {
    if (kept_) return kept_;
    ESP_ASSIGN(std::shared_ptr<Network> loaded, load_(options_));
    return loaded;
  }

  // For its configuration and shapes only: not kept it is the file mapped as it is, which costs next to nothing.
  Result<std::shared_ptr<Network>> shapes() const {
    if (kept_) return kept_;
    ESP_ASSIGN(std::shared_ptr<Network> mapped, load_(nn::LoadOptions{}));
    return mapped;
  }

 private:
  Load load_;
  nn::LoadOptions options_;
  std::shared_ptr<Network> kept_;
};

struct NetworkOptions {
  c10::Device device = c10::kCPU;
  bool bfloat16 = false;        // the denoisers' blocks
  std::string memory = "auto";  // resident: all networks stay; low: each only while it is used; auto: by their size
};

// The networks of a base model that generation runs, opened and checked once. Thread-safe.
class Networks {
 public:
  // Errors of nn/io/load_model.h; INVALID_ARGUMENT: networks that do not fit each other, unknown `memory`.
  static Result<std::unique_ptr<Networks>> open(nn::BaseModel base, const NetworkOptions& options);

  const nn::BaseModel& base() const { return base_; }
  c10::Device device() const { return options_.device; }
  bool is_resident() const { return resident_; }

  // Whether the base has a shape at all.
  bool has_shape() const { return !shape_flows_.empty(); }
  // Whether it can texture the shapes of a tier's network.
  bool has_texture(int tier) const { return texture_flows_.contains(tier); }
  // Whether it can texture given meshes.
  bool can_retexture() const { return !texture_flows_.empty() && has_shape_encoder_; }
  // Whether it has every network of a pipeline, and grids that allow it.
  bool can_run(const Pipeline& pipeline) const;

  NetworkSlot<nn::DinoV3> encoder;
  NetworkSlot<nn::SparseStructureFlow> structure_flow;
  NetworkSlot<nn::SparseStructureDecoder> structure_decoder;
  NetworkSlot<nn::ScVaeDecoder> shape_decoder;    // unless !has_shape()
  NetworkSlot<nn::ScVaeDecoder> texture_decoder;  // where has_texture() of some tier
  NetworkSlot<nn::ScVaeEncoder> shape_encoder;    // where can_retexture(); never kept, as it is rarely used
  const NetworkSlot<nn::SLatFlow>& shape_flow(int tier) const { return shape_flows_.at(tier); }
  const NetworkSlot<nn::SLatFlow>& texture_flow(int tier) const { return texture_flows_.at(tier); }

  // sha256 of the weights of a model key, made when first asked for.
  Result<std::string> digest(const std::string& key);

 private:
  Networks(nn::BaseModel base, const NetworkOptions& options) : base_(std::move(base)), options_(options) {}
  using FlowSlots = std::map<int, NetworkSlot<nn::SLatFlow>>;  // by tier

  FlowSlots flow_slots(std::string (*key)(int tier), const nn::LoadOptions& options) const;
  NetworkSlot<nn::ScVaeDecoder> decoder_slot(const char* key, const nn::LoadOptions& options) const;
  Status decide_memory();
  Status keep_or_check();
  Status check_shape() const;
  Status check_texture() const;
  Status check_shape_encoder() const;
  Status check_flows(const FlowSlots& flows, std::string (*key)(int tier), int64_t in, int64_t out) const;

  nn::BaseModel base_;
  NetworkOptions options_;
  bool resident_ = true;
  bool has_shape_encoder_ = false;
  FlowSlots shape_flows_, texture_flows_;
  std::mutex mutex_;  // guards digests_
  std::map<std::string, std::string> digests_;
};

std::string shape_flow_key(int tier);
std::string texture_flow_key(int tier);

}  // namespace espalier::infer
