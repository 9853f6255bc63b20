#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// Sparse voxel octrees and the predictions of attribute bytes over them; not for other folders.
//
// An octree holds the voxels of a cube of 2^depth per side, depth 1..10, as one byte per inner node in depth-first
// order: bit k set means that child k is present, k being the node's three bits of the z-order code. The nodes of the
// lowest level list voxels and have no bytes below them.
namespace espalier::ovoxel::internal {

// `codes`: z-order codes below 8^depth, strictly ascending, at least one.
std::string encode_octree(std::span<const uint32_t> codes, int depth);

// Ascending codes. DATA_LOSS: not a whole octree of this depth, or more than `max_voxels`.
Result<std::vector<uint32_t>> decode_octree(std::string_view octree, int depth, size_t max_voxels);

inline constexpr size_t kMaxChannels = 128;

// Attribute bytes [N, channels] from their differences, modulo 256, in the order of the octree's voxels.
//
// Along the tree: a node has the value of its first child, and each further child the difference to the one before.
// `octree` must have passed decode_octree() with N voxels; channels <= kMaxChannels.
std::string undo_parent_filter(std::string_view octree, int depth, std::string_view differences, size_t channels);

// To neighbours: the last voxel present among those at -x, -y, -z, -xy, -xz, -yz, -xyz; none: the value itself.
// `codes` as from decode_octree().
std::string undo_neighbor_filter(std::span<const uint32_t> codes, std::string differences, size_t channels);

}  // namespace espalier::ovoxel::internal
