#include "render/surface.h"

#include "image/transfer.h"

namespace espalier::render {
namespace {

using mesh::Wrap;

int wrap(int i, int n, Wrap mode) {
  if (mode == Wrap::kClamp) return std::clamp(i, 0, n - 1);
  const int period = mode == Wrap::kMirror ? 2 * n : n;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - 1 - i;
}

struct TexturePoint {
  float u, v;
};

// A point of a texture: four texels and the weights that filter them, as stored.
class Lookup {
 public:
  Lookup(const Geometry& g, const mesh::Texture& texture, TexturePoint at) : image_(g.images[texture.image]) {
    const float x = bounded(at.u) * image_.width, y = bounded(at.v) * image_.height;
    const bool nearest = texture.filter == mesh::Filter::kNearest;
    const float fx = std::floor(nearest ? x : x - 0.5f), fy = std::floor(nearest ? y : y - 0.5f);
    const int i = static_cast<int>(fx), j = static_cast<int>(fy);
    const int x0 = wrap(i, image_.width, texture.wrap_u), x1 = wrap(i + 1, image_.width, texture.wrap_u);
    const int y0 = wrap(j, image_.height, texture.wrap_v), y1 = wrap(j + 1, image_.height, texture.wrap_v);
    texels_[0] = image_.at(x0, y0), texels_[1] = image_.at(x1, y0);
    texels_[2] = image_.at(x0, y1), texels_[3] = image_.at(x1, y1);
    if (!nearest) right_ = x - 0.5f - fx, down_ = y - 0.5f - fy;
  }

  // In [0, 1]. Images without that channel answer with their last colour, or 1 for alpha.
  float channel(int c) const {
    if (c >= image_.channels) {
      if (c == 3) return 1;
      c = image_.channels - 1;
    }
    const float top = texels_[0][c] * (1 - right_) + texels_[1][c] * right_;
    const float bottom = texels_[2][c] * (1 - right_) + texels_[3][c] * right_;
    return (top * (1 - down_) + bottom * down_) * (1 / 255.0f);
  }

 private:
  // Far-out coordinates have lost their fraction; bounding them (and NaN) keeps the conversion to int defined.
  static float bounded(float x) { return x > -1e4f ? std::min(x, 1e4f) : -1e4f; }

  const image::Image& image_;
  const uint8_t* texels_[4];
  float right_ = 0, down_ = 0;
};

float lookup(const Geometry& g, const mesh::Texture& t, TexturePoint at) { return Lookup(g, t, at).channel(t.channel); }

V3 lookup_color(const Geometry& g, const mesh::Texture& t, TexturePoint at) {
  const Lookup texel(g, t, at);
  return {image::srgb_to_linear(texel.channel(0)), image::srgb_to_linear(texel.channel(1)),
          image::srgb_to_linear(texel.channel(2))};
}

struct Weights {
  float a, b, c;
  explicit Weights(const Hit& hit) : a(1 - hit.u - hit.v), b(hit.u), c(hit.v) {}
};

// The three corners of a face.
struct Corners {
  V3 x[3];
  Geometry::Corner p[3];
  Corners(const Geometry& g, uint32_t face) {
    for (int i = 0; i < 3; ++i) x[i] = g.positions[g.triangles[face][i]], p[i] = g.corners[g.triangles[face][i]];
  }
};

TexturePoint texture_point(const Geometry::Corner* p, Weights w) {
  return {p[0].u * w.a + p[1].u * w.b + p[2].u * w.c, p[0].v * w.a + p[1].v * w.b + p[2].v * w.c};
}

float color_channel(const Geometry::Corner* p, Weights w, int i) {
  return p[0].color[i] * w.a + p[1].color[i] * w.b + p[2].color[i] * w.c;
}

// The tangent-space normal of the map, turned into the frame of the face's texture coordinates.
V3 bend(const V3* x, const Geometry::Corner* p, V3 normal, V3 map) {
  const V3 e1 = x[1] - x[0], e2 = x[2] - x[0];
  const float u1 = p[1].u - p[0].u, v1 = p[1].v - p[0].v, u2 = p[2].u - p[0].u, v2 = p[2].v - p[0].v;
  const float det = u1 * v2 - u2 * v1;
  if (det == 0) return normal;
  V3 tangent = (e1 * v2 - e2 * v1) * (1 / det);
  tangent = tangent - normal * dot(normal, tangent);
  if (length(tangent) == 0) return normal;
  tangent = normalize(tangent);
  // v grows downwards in the picture while the map's green axis points up.
  const V3 bitangent = cross(normal, tangent) * (det > 0 ? -1.0f : 1.0f);
  return normalize(tangent * map.x + bitangent * map.y + normal * map.z, normal);
}

// Turns a normal whose mirror direction points into the surface until it grazes; else bumps seen flat go black.
V3 above_horizon(V3 normal, V3 geometric, V3 view) {
  const V3 mirrored = normal * (2 * dot(normal, view)) - view;
  const float lowest = std::min(0.9f * dot(geometric, view), 0.01f), height = dot(geometric, mirrored);
  if (height >= lowest) return normal;
  return normalize(view + normalize(mirrored + geometric * (lowest - height)), geometric);
}

}  // namespace

Geometry Geometry::from(const mesh::Scene& scene) {
  Geometry g;
  g.materials = scene.materials;
  g.materials.push_back(mesh::default_material());
  g.images = scene.images;
  const int none = static_cast<int>(scene.materials.size());
  for (const mesh::Material& m : scene.materials) g.translucent |= m.alpha_mode != mesh::AlphaMode::kOpaque;
  for (const mesh::Mesh& m : scene.meshes) {
    const auto first = static_cast<uint32_t>(g.positions.size());
    for (size_t i = 0; i < m.positions.size(); ++i) {
      Corner corner;
      if (!m.normals.empty()) corner.normal = V3(m.normals[i]);
      if (!m.uvs.empty()) corner.u = m.uvs[i][0], corner.v = m.uvs[i][1];
      if (!m.colors.empty()) corner.color = m.colors[i];
      g.positions.push_back(V3(m.positions[i]));
      g.corners.push_back(corner);
    }
    for (size_t f = 0; f < m.triangles.size(); ++f) {
      const int id = f < m.material_ids.size() ? m.material_ids[f] : -1;
      g.faces.push_back({id < 0 ? none : id, !m.normals.empty()});
      g.triangles.push_back({m.triangles[f][0] + first, m.triangles[f][1] + first, m.triangles[f][2] + first});
    }
  }
  return g;
}

float Geometry::alpha(const Hit& hit, bool mask_as_blend) const {
  const mesh::Material& m = materials[faces[hit.triangle].material];
  if (m.alpha_mode == mesh::AlphaMode::kOpaque) return 1;
  const Corners face_corners(*this, hit.triangle);
  const Corner* p = face_corners.p;
  const Weights w(hit);
  float value = m.alpha * color_channel(p, w, 3);
  if (m.alpha_texture) value *= lookup(*this, *m.alpha_texture, texture_point(p, w));
  if (m.alpha_mode == mesh::AlphaMode::kMask && !mask_as_blend) return value >= m.alpha_cutoff ? 1 : 0;
  return std::clamp(value, 0.0f, 1.0f);
}

Place Geometry::place(const Hit& hit) const {
  const mesh::Triangle& t = triangles[hit.triangle];
  const V3 x[3] = {positions[t[0]], positions[t[1]], positions[t[2]]};
  const Weights w(hit);
  return {x[0] * w.a + x[1] * w.b + x[2] * w.c, normalize(cross(x[1] - x[0], x[2] - x[0]))};
}

Surface Geometry::surface(V3 origin, V3 direction, const Hit& hit, bool mask_as_blend) const {
  const Face& face = faces[hit.triangle];
  const mesh::Material& m = materials[face.material];
  const Corners face_corners(*this, hit.triangle);
  const V3* x = face_corners.x;
  const Corner* p = face_corners.p;
  const Weights w(hit);
  const TexturePoint at = texture_point(p, w);
  Surface s;
  s.position = x[0] * w.a + x[1] * w.b + x[2] * w.c;
  s.geometric_normal = normalize(cross(x[1] - x[0], x[2] - x[0]), normalize(origin - s.position));
  s.normal = face.smooth ? normalize(p[0].normal * w.a + p[1].normal * w.b + p[2].normal * w.c, s.geometric_normal)
                         : s.geometric_normal;
  if (dot(s.normal, s.geometric_normal) < 0) s.geometric_normal = -s.geometric_normal;
  if (m.normal_texture) {
    const Lookup texel(*this, *m.normal_texture, at);
    const auto axis = [&](int i) { return 2 * texel.channel(i) - 1; };
    s.normal = bend(x, p, s.normal, {axis(0), axis(1), axis(2)});
  }
  // Both sides are shaded; the side is decided by the face, not by the bent normal.
  if (dot(s.geometric_normal, direction) > 0) s.geometric_normal = -s.geometric_normal, s.normal = -s.normal;
  if (m.normal_texture) s.normal = above_horizon(s.normal, s.geometric_normal, -direction);
  V3 base = V3(m.base_color) * V3{color_channel(p, w, 0), color_channel(p, w, 1), color_channel(p, w, 2)};
  if (m.base_color_texture) base = base * lookup_color(*this, *m.base_color_texture, at);
  float metallic = m.metallic;
  s.roughness = m.roughness;
  if (m.metallic_texture) metallic *= lookup(*this, *m.metallic_texture, at);
  if (m.roughness_texture) s.roughness *= lookup(*this, *m.roughness_texture, at);
  s.alpha = alpha(hit, mask_as_blend);
  if (m.unlit) {
    s.emission = base;
    s.has_specular = false;
    return s;
  }
  s.emission = V3(m.emissive);
  if (m.emissive_texture) s.emission = s.emission * lookup_color(*this, *m.emissive_texture, at);
  s.diffuse = base * (1 - metallic);
  s.specular = V3(0.04f * (1 - metallic)) + base * metallic;
  s.has_specular = face.material + 1 < static_cast<int>(materials.size());
  return s;
}

}  // namespace espalier::render
