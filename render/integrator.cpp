#include "render/integrator.h"

#include <limits>
#include <numbers>

namespace espalier::render {
namespace {

// A path tracer after Blender Cycles, with the settings of the reference's renders. At each surface a path meets, the
// lights are sampled (direct()) and a direction is drawn by the BSDF; where such a direction reaches a light
// (escaped()), both ways have counted it, and the power heuristic (Veach and Guibas 1995) weighs them to a sum of one.
// Lights are spheres, seen under a cone, and evenly bright over it.
//
// Each path takes its random numbers in a fixed order from (key, pixel, sample): who renders a pixel changes nothing.
constexpr float kFar = std::numeric_limits<float>::infinity();
constexpr int kMaxTransparent = 3, kMaxDepth = 12;
constexpr float kIndirectClamp = 10;

V3 clamp_indirect(V3 light) {
  const float total = sum(light);
  return total > 3 * kIndirectClamp ? light * (3 * kIndirectClamp / total) : light;
}

// Where a ray along `direction` starts so that it does not meet the face it comes from.
V3 leave(V3 position, V3 normal, V3 direction) {
  const float scale = 2e-5f * std::max(1.0f, length(position));
  return position + normal * (dot(normal, direction) < 0 ? -scale : scale);
}

// Roughness (as GGX alpha) that lobes get at least after a bounce drawn with density `pdf`: paths that only rare
// bounces find are blurred, not noisy. Reference: "filter glossy" of Cycles.
float blurred_alpha(float pdf) { return pdf < 1 ? 0.5f * std::sqrt(1 - pdf) : 0; }

// The cone under which a light is seen: 1 - cos of its half angle; 0 when the point lies inside the light.
float cone(const PointLight& light, V3 from, V3& axis, float& distance) {
  axis = V3(light.position) - from;
  distance = length(axis);
  if (distance <= light.radius) return 0;
  axis = axis * (1 / distance);
  const float sin2 = light.radius * light.radius / (distance * distance);
  return sin2 / (1 + std::sqrt(1 - sin2));
}

float power_heuristic(float a, float b) { return a * a / (a * a + b * b); }

}  // namespace

float Integrator::transmittance(V3 origin, V3 direction, float t_max, int passes) const {
  if (!geometry_.translucent || passes >= kMaxTransparent) return bvh_.occluded(origin, direction, t_max) ? 0 : 1;
  float passed = 1;
  for (int i = passes; i <= kMaxTransparent; ++i) {
    Hit hit;
    if (!bvh_.intersect(origin, direction, t_max, hit)) return passed;
    passed *= 1 - geometry_.alpha(hit, mask_as_blend_);
    if (passed <= 0) return 0;
    const Place place = geometry_.place(hit);
    origin = leave(place.position, place.normal, direction);
    t_max -= hit.t;
  }
  return 0;
}

V3 Integrator::direct(const Surface& surface, V3 view, int passes, PathSampler& random) const {
  V3 light_sum;
  for (const PointLight& light : lighting_.lights) {
    const Pair u = random.next();
    V3 axis, t, b;
    float distance;
    const float extent = cone(light, surface.position, axis, distance);
    if (extent <= 0) continue;
    frame(axis, t, b);
    const float c = 1 - u.u * extent, s = std::sqrt(std::max(0.0f, u.u * extent * (1 + c))),
                phi = 2 * std::numbers::pi_v<float> * u.v;
    const V3 direction = normalize(t * (s * std::cos(phi)) + b * (s * std::sin(phi)) + axis * c);
    const BsdfValue value = evaluate(surface, view, direction);
    if (value.pdf <= 0) continue;
    const float passed = transmittance(leave(surface.position, surface.geometric_normal, direction), direction,
                                       distance - light.radius, passes);
    if (passed <= 0) continue;
    const float pdf = 1 / (2 * std::numbers::pi_v<float> * extent);
    light_sum += value.f_cos * (light.radiance() * passed * power_heuristic(pdf, value.pdf) / pdf);
  }
  return light_sum;
}

// Lights do not hide each other or the surroundings.
V3 Integrator::escaped(V3 origin, V3 direction, float pdf) const {
  float light_sum = lighting_.environment;
  for (const PointLight& light : lighting_.lights) {
    V3 axis;
    float distance;
    const float extent = cone(light, origin, axis, distance);
    // 1 - cos of the angle to the axis, without cancellation.
    const V3 off = direction - axis;
    if (extent <= 0 || 0.5f * dot(off, off) > extent) continue;
    light_sum += light.radiance() * power_heuristic(pdf, 1 / (2 * std::numbers::pi_v<float> * extent));
  }
  return V3(light_sum);
}

// Follows a scattered ray through transparent layers, each passed with probability 1 - alpha. False when it escapes.
bool Integrator::next_surface(V3 origin, V3 direction, float lobe, Surface& surface, int& passes) const {
  Hit hit;
  while (bvh_.intersect(origin, direction, kFar, hit)) {
    surface = geometry_.surface(origin, direction, hit, mask_as_blend_);
    if (passes > kMaxTransparent || lobe < surface.alpha || surface.alpha >= 1) return true;
    lobe = (lobe - surface.alpha) / (1 - surface.alpha);
    origin = leave(surface.position, surface.geometric_normal, direction);
    ++passes;
  }
  return false;
}

V3 Integrator::reflected(Surface surface, V3 view, int passes, PathSampler& random) const {
  V3 light_sum = surface.emission + direct(surface, view, passes, random), throughput(1);
  int diffuse = 0, glossy = 0;
  float least_pdf = kFar;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    BsdfSample sample;
    const Pair pick = random.next();
    const Pair u = random.next();
    if (!sample_bsdf(surface, view, pick.u, u, sample)) break;
    throughput = throughput * sample.value.f_cos * (1 / sample.value.pdf);
    if (sum(throughput) <= 0) break;
    (sample.glossy ? glossy : diffuse) += 1;
    least_pdf = std::min(least_pdf, sample.value.pdf);
    const V3 start = surface.position;
    const V3 origin = leave(start, surface.geometric_normal, sample.direction);
    if (!next_surface(origin, sample.direction, pick.v, surface, passes)) {
      const V3 light = throughput * escaped(start, sample.direction, sample.value.pdf);
      light_sum += depth > 0 ? clamp_indirect(light) : light;
      break;
    }
    // The surface after the last bounce only shows its own glow.
    const bool last = passes > kMaxTransparent || diffuse > 1 || glossy > 1;
    surface.least_alpha = blurred_alpha(least_pdf);
    view = -sample.direction;
    V3 light = surface.emission;
    if (!last) light += direct(surface, view, passes, random);
    light_sum += clamp_indirect(throughput * light);
    if (last) break;
  }
  return light_sum;
}

Radiance Integrator::trace(V3 origin, V3 direction, PathSampler& random) const {
  Radiance result;
  float passed = 1;
  // Layers are split, not drawn: choosing one at random would be the main noise of translucent assets.
  for (int layer = 0;; ++layer) {
    Hit hit;
    if (!bvh_.intersect(origin, direction, kFar, hit)) return result;
    const Surface surface = geometry_.surface(origin, direction, hit, mask_as_blend_);
    if (layer > kMaxTransparent) {
      result.color += surface.emission * passed;
      break;
    }
    if (surface.alpha > 0) {
      result.color += reflected(surface, -direction, layer, random) * (passed * surface.alpha);
      result.alpha += passed * surface.alpha;
    }
    passed *= 1 - surface.alpha;
    if (passed < 1e-4f) return result;
    origin = leave(surface.position, surface.geometric_normal, direction);
  }
  result.alpha += passed;
  return result;
}

}  // namespace espalier::render
