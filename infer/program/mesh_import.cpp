#include "infer/program/mesh_import.h"

#include "common/files.h"
#include "preprocess/import_asset.h"

namespace espalier::infer {

ImportMesh confined_import(const std::filesystem::path& importer) {
  return [importer](const std::filesystem::path& folder, const std::string& file,
                    std::stop_token stop) -> Result<mesh::Scene> {
    ESP_ASSIGN(const TempDir scratch, TempDir::create("espalier-import"));
    return preprocess::import_asset(folder, file, {.program = importer}, scratch.path(), std::move(stop));
  };
}

}  // namespace espalier::infer
