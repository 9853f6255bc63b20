#pragma once

#include "common/status.h"
#include "evaluate/surface_agreement.h"
#include "infer/shape.h"
#include "mesh/surface.h"
#include "nano/voxel_grids.h"
#include "nn/networks/sc_vae.h"

// How well decoded shapes agree with the dual grids they stand for.
namespace espalier::nano {

// A grid as if it had been decoded, with even split weights. `resolution`: voxels per side.
infer::DecodedShape as_decoded(const VoxelGrid& grid, int resolution);

// What encoder and decoder make of a grid, the decoder going by its own predictions. FAILED_PRECONDITION: nothing.
Result<infer::DecodedShape> reconstructed(const nn::ScVaeEncoder& encoder, const nn::ScVaeDecoder& decoder,
                                          const VoxelGrid& grid, int resolution);

struct GridAgreement {
  double f1 = 0;               // of the voxels
  double f1_within_one = 0;    // with one voxel of tolerance, diagonals included
  double flags = 0;            // share of right edge flags, on the voxels both have
  double vertex_distance = 0;  // mean distance of the dual vertices there, in voxels
};
// Both of the same resolution, with at least one voxel.
GridAgreement grid_agreement(const infer::DecodedShape& got, const infer::DecodedShape& want);

// Of the extracted meshes in [-0.5, 0.5]^3. Errors as ovoxel::dual_mesh() and evaluate::surface_agreement().
Result<evaluate::SurfaceAgreement> mesh_agreement(const infer::DecodedShape& got, const infer::DecodedShape& want);

}  // namespace espalier::nano
