#include "render/bsdf.h"

#include <numbers>

namespace espalier::render {
namespace {

float pow5(float x) { return x * x * x * x * x; }

// Unpolarised Fresnel reflectance of a dielectric with index 1.5.
float dielectric_fresnel(float c) {
  const float g = std::sqrt(1.25f + c * c);
  const float a = (g - c) / (g + c), b = (c * (g + c) - 1) / (c * (g - c) + 1);
  return 0.5f * a * a * (1 + b * b);
}

V3 fresnel(V3 specular, float c) {
  const float w = std::clamp((dielectric_fresnel(c) - 0.04f) / 0.96f, 0.0f, 1.0f);
  return specular * (1 - w) + V3(w);
}

float ggx_alpha(const Surface& s) { return std::max({s.roughness * s.roughness, s.least_alpha, 1e-4f}); }

float smith(float n_dot, float a2) { return 2 * n_dot / (n_dot + std::sqrt(a2 + (1 - a2) * n_dot * n_dot)); }

float glossy_probability(const Surface& s, float n_dot_v) {
  if (!s.has_specular) return 0;
  const float spec = sum(fresnel(s.specular, n_dot_v)), diffuse = sum(s.diffuse);
  return diffuse <= 0 ? 1 : std::clamp(spec / (spec + diffuse), 0.1f, 0.9f);
}

float facing(const Surface& s, V3 view) { return std::max(dot(s.normal, view), 1e-4f); }

}  // namespace

BsdfValue evaluate(const Surface& s, V3 view, V3 light) {
  const float nl = dot(s.normal, light), nv = facing(s, view);
  BsdfValue value;
  if (nl <= 0 || dot(s.geometric_normal, light) <= 0) return value;
  const float glossy = glossy_probability(s, nv);
  const V3 half = normalize(view + light, s.normal);
  const float vh = std::clamp(dot(view, half), 0.0f, 1.0f), nh = std::clamp(dot(s.normal, half), 0.0f, 1.0f);
  float burley = 1;
  if (s.has_specular) {
    const float f90 = 0.5f + 2 * s.roughness * vh * vh;
    burley = (1 + (f90 - 1) * pow5(1 - nl)) * (1 + (f90 - 1) * pow5(1 - nv));
  }
  value.f_cos = s.diffuse * (burley * nl / std::numbers::pi_v<float>);
  value.pdf = (1 - glossy) * nl / std::numbers::pi_v<float>;
  if (glossy > 0) {
    const float a = ggx_alpha(s), a2 = a * a, denominator = nh * nh * (a2 - 1) + 1;
    const float d = a2 / (std::numbers::pi_v<float> * denominator * denominator), g_view = smith(nv, a2);
    value.f_cos += fresnel(s.specular, vh) * (d * g_view * smith(nl, a2) / (4 * nv));
    value.pdf += glossy * d * g_view / (4 * nv);
  }
  return value;
}

bool sample_bsdf(const Surface& s, V3 view, float lobe, Pair random, BsdfSample& sample) {
  const float nv = facing(s, view);
  V3 t, b;
  frame(s.normal, t, b);
  sample.glossy = lobe < glossy_probability(s, nv);
  const float phi = 2 * std::numbers::pi_v<float> * random.v;
  if (!sample.glossy) {
    const float r = std::sqrt(random.u);
    sample.direction =
        t * (r * std::cos(phi)) + b * (r * std::sin(phi)) + s.normal * std::sqrt(std::max(0.0f, 1 - random.u));
  } else {
    // A visible normal, in the frame (t, b, normal): the view is stretched until the microsurface is a hemisphere, a
    // point is drawn on its projection, and the normal there is stretched back (Heitz 2018).
    const float a = ggx_alpha(s);
    const V3 vh = normalize({a * dot(view, t), a * dot(view, b), nv});
    V3 t1, t2;
    frame(vh, t1, t2);
    // The visible half of the disc: the axis t2 must lie in the plane of the normal.
    const float planar = vh.x * vh.x + vh.y * vh.y;
    if (planar > 0) t1 = V3{-vh.y, vh.x, 0} * (1 / std::sqrt(planar)), t2 = cross(vh, t1);
    const float r = std::sqrt(random.u), p1 = r * std::cos(phi), mix = 0.5f * (1 + vh.z);
    const float p2 = (1 - mix) * std::sqrt(std::max(0.0f, 1 - p1 * p1)) + mix * r * std::sin(phi);
    const V3 nh = t1 * p1 + t2 * p2 + vh * std::sqrt(std::max(0.0f, 1 - p1 * p1 - p2 * p2));
    const V3 h = normalize({a * nh.x, a * nh.y, std::max(1e-6f, nh.z)});
    const V3 half = t * h.x + b * h.y + s.normal * h.z;
    sample.direction = normalize(half * (2 * dot(view, half)) - view);
  }
  sample.value = evaluate(s, view, sample.direction);
  return sample.value.pdf > 0;
}

}  // namespace espalier::render
