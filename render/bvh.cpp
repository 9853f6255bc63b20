#include "render/bvh.h"

#if __has_include(<embree4/rtcore.h>)
#include <embree4/rtcore.h>
#else
#include <embree3/rtcore.h>
#endif

#include <cstring>
#include <type_traits>

// The only file that knows Embree; version 4 differs in the argument structures of the two queries.
namespace espalier::render {

static_assert(sizeof(V3) == 12 && std::is_trivially_copyable_v<V3>, "positions are handed over as they lie");

struct Bvh::State {
  RTCDevice device = nullptr;
  RTCScene scene = nullptr;
  ~State() {
    if (scene) rtcReleaseScene(scene);
    if (device) rtcReleaseDevice(device);
  }
};

Bvh::Bvh(std::unique_ptr<State> state) : state_(std::move(state)) {}
Bvh::Bvh(Bvh&&) noexcept = default;
Bvh& Bvh::operator=(Bvh&&) noexcept = default;
Bvh::~Bvh() = default;

Result<Bvh> Bvh::make(const std::vector<V3>& positions, const std::vector<mesh::Triangle>& triangles) {
  auto state = std::make_unique<State>();
  // One build thread: the order of a parallel build would make ties between coplanar faces vary.
  state->device = rtcNewDevice("threads=1");
  if (!state->device) return absl::InternalError("Embree: no device");
  state->scene = rtcNewScene(state->device);
  rtcSetSceneFlags(state->scene, RTC_SCENE_FLAG_ROBUST);
  if (!triangles.empty()) {
    RTCGeometry geometry = rtcNewGeometry(state->device, RTC_GEOMETRY_TYPE_TRIANGLE);
    void* vertices =
        rtcSetNewGeometryBuffer(geometry, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, sizeof(V3), positions.size());
    void* indices = rtcSetNewGeometryBuffer(geometry, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3,
                                            sizeof(mesh::Triangle), triangles.size());
    if (!vertices || !indices) {
      rtcReleaseGeometry(geometry);
      return absl::ResourceExhaustedError("Embree: out of memory");
    }
    std::memcpy(vertices, positions.data(), positions.size() * sizeof(V3));
    std::memcpy(indices, triangles.data(), triangles.size() * sizeof(mesh::Triangle));
    rtcCommitGeometry(geometry);
    rtcAttachGeometry(state->scene, geometry);
    rtcReleaseGeometry(geometry);
  }
  rtcCommitScene(state->scene);
  if (rtcGetDeviceError(state->device) != RTC_ERROR_NONE) return absl::InternalError("Embree: building failed");
  return Bvh(std::move(state));
}

namespace {

// Embree 3 wants a context with every query; in Embree 4 it is an optional argument.
#if RTC_VERSION_MAJOR >= 4
void trace_nearest(RTCScene scene, RTCRayHit& query) { rtcIntersect1(scene, &query); }
void trace_any(RTCScene scene, RTCRay& ray) { rtcOccluded1(scene, &ray); }
#else
void trace_nearest(RTCScene scene, RTCRayHit& query) {
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  rtcIntersect1(scene, &context, &query);
}

void trace_any(RTCScene scene, RTCRay& ray) {
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  rtcOccluded1(scene, &context, &ray);
}
#endif

RTCRay make_ray(V3 origin, V3 direction, float t_max) {
  RTCRay ray{};
  ray.org_x = origin.x, ray.org_y = origin.y, ray.org_z = origin.z;
  ray.dir_x = direction.x, ray.dir_y = direction.y, ray.dir_z = direction.z;
  ray.tnear = 0;
  ray.tfar = t_max;
  ray.mask = ~0u;
  return ray;
}

}  // namespace

bool Bvh::intersect(V3 origin, V3 direction, float t_max, Hit& hit) const {
  RTCRayHit query{};
  query.ray = make_ray(origin, direction, t_max);
  query.hit.geomID = RTC_INVALID_GEOMETRY_ID;
  trace_nearest(state_->scene, query);
  if (query.hit.geomID == RTC_INVALID_GEOMETRY_ID) return false;
  hit = {query.ray.tfar, query.hit.primID, query.hit.u, query.hit.v};
  return true;
}

bool Bvh::occluded(V3 origin, V3 direction, float t_max) const {
  RTCRay ray = make_ray(origin, direction, t_max);
  trace_any(state_->scene, ray);
  return ray.tfar < 0;
}

}  // namespace espalier::render
