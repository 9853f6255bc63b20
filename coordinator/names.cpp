#include "coordinator/names.h"

#include "absl/strings/ascii.h"

namespace espalier::coordinator {
namespace {

// The name of an enum's value without the prefix that the enum's values share.
std::string plain(const std::string& name, size_t prefix) {
  return name.size() > prefix ? absl::AsciiStrToLower(name.substr(prefix)) : "unknown";
}

}  // namespace

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

std::string state_name(v1::JobState state) { return plain(v1::JobState_Name(state), sizeof("JOB_STATE")); }

std::string kind_name(v1::ArtefactKind kind) { return plain(v1::ArtefactKind_Name(kind), sizeof("ARTEFACT_KIND")); }

std::string kind_name(v1::LedgerKind kind) { return plain(v1::LedgerKind_Name(kind), sizeof("LEDGER_KIND")); }

std::string priority_name(v1::Priority priority) { return plain(v1::Priority_Name(priority), sizeof("PRIORITY")); }

}  // namespace espalier::coordinator
