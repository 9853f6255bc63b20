#include "render/bvh.h"

#include <embree3/rtcore.h>

// The only file that knows Embree; version 4 differs in the argument structures of the two queries.
namespace espalier::render {

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

Result<Bvh> Bvh::make(const std::vector<V3>& corners) {
  auto state = std::make_unique<State>();
  // One build thread: the order of a parallel build would make ties between coplanar faces vary.
  state->device = rtcNewDevice("threads=1");
  if (!state->device) return absl::InternalError("Embree: no device");
  state->scene = rtcNewScene(state->device);
  rtcSetSceneFlags(state->scene, RTC_SCENE_FLAG_ROBUST);
  const size_t count = corners.size() / 3;
  if (count > 0) {
    RTCGeometry geometry = rtcNewGeometry(state->device, RTC_GEOMETRY_TYPE_TRIANGLE);
    auto* vertices = static_cast<float*>(
        rtcSetNewGeometryBuffer(geometry, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, 3 * sizeof(float), count * 3));
    auto* indices = static_cast<uint32_t*>(
        rtcSetNewGeometryBuffer(geometry, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, 3 * sizeof(uint32_t), count));
    if (!vertices || !indices) {
      rtcReleaseGeometry(geometry);
      return absl::ResourceExhaustedError("Embree: out of memory");
    }
    for (size_t i = 0; i < count * 3; ++i) {
      vertices[3 * i] = corners[i].x;
      vertices[3 * i + 1] = corners[i].y;
      vertices[3 * i + 2] = corners[i].z;
      indices[i] = static_cast<uint32_t>(i);
    }
    rtcCommitGeometry(geometry);
    rtcAttachGeometry(state->scene, geometry);
    rtcReleaseGeometry(geometry);
  }
  rtcCommitScene(state->scene);
  if (rtcGetDeviceError(state->device) != RTC_ERROR_NONE) return absl::InternalError("Embree: building failed");
  return Bvh(std::move(state));
}

namespace {

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
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  RTCRayHit query{};
  query.ray = make_ray(origin, direction, t_max);
  query.hit.geomID = RTC_INVALID_GEOMETRY_ID;
  rtcIntersect1(state_->scene, &context, &query);
  if (query.hit.geomID == RTC_INVALID_GEOMETRY_ID) return false;
  hit = {query.ray.tfar, query.hit.primID, query.hit.u, query.hit.v};
  return true;
}

bool Bvh::occluded(V3 origin, V3 direction, float t_max) const {
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  RTCRay ray = make_ray(origin, direction, t_max);
  rtcOccluded1(state_->scene, &context, &ray);
  return ray.tfar < 0;
}

}  // namespace espalier::render
