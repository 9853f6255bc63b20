#pragma once

#include <array>
#include <span>
#include <stop_token>
#include <vector>

#include "bake/charts.h"
#include "common/status.h"

namespace espalier::bake {

struct Packing {
  double texels_per_unit = 1;
  std::vector<TexelPoint> corners;  // by chart: where its point (0, 0) goes, in texels
};

// Free texels around each chart, half of them on each side; more in larger textures, which lose more of their smaller
// mip levels.
int chart_gap(int texture_size);

// Places all charts in a square texture at one scale, as large as fits. They keep chart_gap() from each other and half
// of it from the border. The tall ones first, each goes as far down as the outlines below it let it sink.
// The same for every thread count. INVALID_ARGUMENT: more charts than the texture has room for. CANCELLED: stopped.
// Reference: Lévy et al., "Least Squares Conformal Maps", 2002, 4.
Result<Packing> pack(std::span<const Chart> charts, int texture_size, int threads, const std::stop_token& stop);

}  // namespace espalier::bake
