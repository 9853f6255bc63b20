#pragma once

#include <optional>
#include <vector>

#include "common/status.h"
#include "infer/engine.h"
#include "infer/request.h"
#include "infer/stage.h"
#include "mesh/scene.h"

namespace espalier::infer {

// Adds a picture of each scene to the files of its sample; stage "preview", in views of all samples. Nothing without
// settings. A scene that cannot be drawn is a warning: its files are there. CANCELLED: stopped, between two views.
Status add_previews(std::vector<mesh::Scene> scenes, const std::optional<PreviewSettings>& settings,
                    const StageHooks& hooks, GeneratedAssets& assets);

}  // namespace espalier::infer
