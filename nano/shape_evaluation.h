#pragma once

#include <cstdint>

#include "common/status.h"
#include "mesh/surface.h"
#include "nano/shape_grids.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/voxel_channels.h"

// How well decoded shapes agree with the dual grids they stand for.
namespace espalier::nano {

// One decoded object.
struct DecodedShape {
  at::Tensor coords;  // [M, 3] int32
  nn::DecodedDualGrid grid;
  int resolution = 0;  // voxels per side
};

// What `decoder` makes of the latent of one object by its own predictions. `resolution`: voxels per side.
DecodedShape decoded_shape(const nn::ScVaeDecoder& decoder, const nn::SparseTensor& latent, int resolution);

struct GridAgreement {
  double f1 = 0;               // of the voxels
  double f1_within_one = 0;    // with one voxel of tolerance, diagonals included
  double flags = 0;            // share of right edge flags, on the voxels both have
  double vertex_distance = 0;  // mean distance of the dual vertices there, in voxels
};
GridAgreement grid_agreement(const DecodedShape& got, const ShapeGrid& want);

// The surfaces as the product extracts them, in [-0.5, 0.5]^3.
Result<mesh::Surface> extracted_surface(const DecodedShape& shape);
Result<mesh::Surface> extracted_surface(const ShapeGrid& grid, int resolution);

}  // namespace espalier::nano
