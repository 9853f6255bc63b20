#pragma once

#include <string>

#include "common/status.h"
#include "mesh/scene.h"

// Geometry files for other tools. Positions come back bit for bit, except that -0 may become 0; normals are written
// where a mesh has them; materials, uvs and colours are not. Equal scenes give equal bytes.
// INVALID_ARGUMENT: the scene violates validate(), has no triangles, or passes the format's 2^32 - 1 vertices or faces.
namespace espalier::mesh {

// Wavefront OBJ, Y up ((x, y, z) -> (x, z, -y)), one object per mesh.
Result<std::string> write_obj(const Scene& scene);
// PLY, binary little endian, Z up; all meshes in one.
Result<std::string> write_ply(const Scene& scene);
// Binary STL, Z up; all meshes in one.
Result<std::string> write_stl(const Scene& scene);

// From the scene's frame to that of glTF and OBJ.
inline Vec3 to_y_up(const Vec3& v) { return {v[0], v[2], -v[1] + 0.0f}; }

// `value` as four bytes, little endian.
void put_u32(std::string& out, uint32_t value);
void put_float(std::string& out, float value);

}  // namespace espalier::mesh
