#include "coordinator/names.h"

namespace espalier::coordinator {

std::optional<Denoiser> from_proto(v1::Denoiser denoiser) {
  switch (denoiser) {
    case v1::DENOISER_SPARSE_STRUCTURE:
      return Denoiser::kSparseStructure;
    case v1::DENOISER_GEOMETRY:
      return Denoiser::kGeometry;
    case v1::DENOISER_TEXTURE:
      return Denoiser::kTexture;
    default:
      return std::nullopt;
  }
}

v1::Denoiser to_proto(Denoiser denoiser) {
  switch (denoiser) {
    case Denoiser::kSparseStructure:
      return v1::DENOISER_SPARSE_STRUCTURE;
    case Denoiser::kGeometry:
      return v1::DENOISER_GEOMETRY;
    case Denoiser::kTexture:
      return v1::DENOISER_TEXTURE;
  }
  return v1::DENOISER_UNSPECIFIED;
}

std::string denoiser_name(v1::Denoiser denoiser) {
  const auto known = from_proto(denoiser);
  return known ? std::string(to_string(*known)) : "";
}

}  // namespace espalier::coordinator
