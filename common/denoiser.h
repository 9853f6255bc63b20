#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace espalier {

// The three trained networks, in the order in which a generation runs them.
enum class Denoiser { kSparseStructure, kGeometry, kTexture };

inline constexpr std::array kDenoisers = {Denoiser::kSparseStructure, Denoiser::kGeometry, Denoiser::kTexture};

// "sparse_structure", "geometry", "texture": the names in every request, file and command line.
constexpr std::string_view to_string(Denoiser denoiser) {
  constexpr std::string_view kNames[] = {"sparse_structure", "geometry", "texture"};
  return kNames[static_cast<int>(denoiser)];
}

constexpr std::optional<Denoiser> parse_denoiser(std::string_view name) {
  for (const Denoiser denoiser : kDenoisers) {
    if (to_string(denoiser) == name) return denoiser;
  }
  return std::nullopt;
}

}  // namespace espalier
