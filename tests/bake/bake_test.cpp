#include "bake/bake.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "bake/texel_cover.h"
#include "bake/vector.h"
#include "bake/volume_sampler.h"
#include "mesh/disjoint_sets.h"
#include "tests/bake/volumes.h"

namespace espalier::bake {
namespace {

BakedObject baked(const mesh::Surface& surface, const Painted& paint, const BakeOptions& options = small()) {
  auto out = bake(surface, surface, paint.volume(), options);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.ok() ? *std::move(out) : BakedObject{};
}

TexelTriangle corners(const mesh::Mesh& mesh, size_t triangle, double size) {
  TexelTriangle out;
  for (size_t k = 0; k < 3; ++k) {
    const mesh::Vec2& uv = mesh.uvs[mesh.triangles[triangle][k]];
    out[k] = {uv[0] * size, uv[1] * size};
  }
  return out;
}

// By vertex: the smallest vertex of its chart.
std::vector<uint32_t> charts_of(const mesh::Mesh& mesh) {
  mesh::DisjointSets sets(mesh.positions.size());
  for (const mesh::Triangle& t : mesh.triangles) sets.join(t[0], t[1]), sets.join(t[1], t[2]);
  std::vector<uint32_t> out;
  for (uint32_t v = 0; v < mesh.positions.size(); ++v) out.push_back(sets.find(v));
  return out;
}

std::vector<std::pair<std::string, mesh::Surface>> surfaces() {
  ovoxel::Shape crowd = ovoxel::sphere(0.2f);
  crowd.append(ovoxel::moved(ovoxel::sheet(), {0.05f, 0, 0.25f}));
  return {{"sphere", surface_of(ovoxel::sphere(0.4f))},
          {"sheet", surface_of(ovoxel::sheet())},
          {"helicoid", helicoid()},
          {"crowd", surface_of(crowd)},
          {"soup", surface_of(ovoxel::moved(ovoxel::soup(40, 5), {0, 0, 0}, 0.6f))}};
}

TEST(Bake, GivesEveryPlaceOfTheTextureToOneTriangle) {
  for (const auto& [name, surface] : surfaces()) {
    const BakedObject object = baked(surface, Painted(surface, 32));
    const mesh::Mesh& mesh = object.scene.meshes[0];
    constexpr int kFine = 4 * 256;
    std::vector<uint8_t> taken(size_t{kFine} * kFine);
    size_t twice = 0, all = 0;
    for (size_t t = 0; t < mesh.triangles.size(); ++t) {
      const TexelTriangle c = corners(mesh, t, kFine);
      EXPECT_GE(edge_side(c[0], c[1], c[2]), -1e-3) << name << ": triangle " << t << " is seen from behind";
      for (const TexelPoint& p : c) {
        EXPECT_TRUE(p[0] >= 0 && p[0] <= kFine && p[1] >= 0 && p[1] <= kFine) << name;
      }
      for_texels_inside(c, {0, 0, kFine, kFine}, [&](int x, int y) {
        ++all;
        twice += taken[static_cast<size_t>(y) * kFine + static_cast<size_t>(x)]++ > 0;
      });
    }
    EXPECT_LE(twice, all / 10'000) << name;  // of slivers narrower than a texel
    EXPECT_GT(all, size_t{kFine} * kFine / 4) << name << ": the texture is badly used";
  }
}

TEST(Bake, KeepsChartsApart) {
  for (const auto& [name, surface] : surfaces()) {
    const BakedObject object = baked(surface, Painted(surface, 32));
    const mesh::Mesh& mesh = object.scene.meshes[0];
    const auto chart = charts_of(mesh);
    EXPECT_EQ(std::set<uint32_t>(chart.begin(), chart.end()).size(), object.report.charts) << name;
    std::map<std::array<int, 2>, std::set<uint32_t>> reached;  // by texel: the charts that a lookup there mixes
    for (size_t t = 0; t < mesh.triangles.size(); ++t) {
      const TexelTriangle c = corners(mesh, t, 256);
      for_texels_near(c, 0.99, {0, 0, 256, 256}, [&](int x, int y) {
        const TexelPoint p{x + 0.5, y + 0.5}, near = weighted(c, closest_weights(c, p));
        const bool reaches = std::abs(near[0] - p[0]) < 0.99 && std::abs(near[1] - p[1]) < 0.99;
        if (reaches) reached[{x, y}].insert(chart[mesh.triangles[t][0]]);
      });
    }
    for (const auto& [texel, charts] : reached) {
      ASSERT_EQ(charts.size(), 1u) << name << ": texel " << texel[0] << ", " << texel[1];
    }
  }
}

TEST(Bake, KeepsTheTrianglesAndTheirTopology) {
  mesh::Surface surface = surface_of(ovoxel::sphere(0.4f));
  const size_t good = surface.triangles.size();
  surface.triangles.insert(surface.triangles.begin() + 7, {3, 3, 9});
  surface.positions.push_back({9, 9, 9});  // unused
  const BakedObject object = baked(surface, Painted(surface_of(ovoxel::sphere(0.4f)), 32));
  const mesh::Mesh& mesh = object.scene.meshes[0];
  ASSERT_EQ(mesh.triangles.size(), good);
  ASSERT_TRUE(mesh::validate(object.scene).ok());
  std::vector<mesh::Triangle> joined;
  for (size_t t = 0; t < good; ++t) {
    const mesh::Triangle& was = surface.triangles[t < 7 ? t : t + 1];
    mesh::Triangle& now = joined.emplace_back();
    for (size_t k = 0; k < 3; ++k) {
      now[k] = mesh.points[mesh.triangles[t][k]];
      EXPECT_EQ(mesh.positions[mesh.triangles[t][k]], surface.positions[was[k]]);
    }
  }
  for (const auto& [edge, uses] : ovoxel::edge_uses(joined)) ASSERT_EQ(uses, 2);  // still closed
  std::map<uint32_t, mesh::Vec3> normals;
  for (size_t v = 0; v < mesh.points.size(); ++v) {
    EXPECT_EQ(normals.emplace(mesh.points[v], mesh.normals[v]).first->second, mesh.normals[v]);
    const double along = dot(point_of(mesh.normals[v]), normalized(point_of(mesh.positions[v])));
    EXPECT_GT(std::abs(along), 0.95);
  }
}

// Bilinear, as a renderer looks it up.
std::array<double, 3> looked_up(const image::Image& image, const TexelPoint& at) {
  const double x = at[0] - 0.5, y = at[1] - 0.5;
  const int x0 = static_cast<int>(std::floor(x)), y0 = static_cast<int>(std::floor(y));
  std::array<double, 3> out{};
  for (int v = 0; v < 2; ++v) {
    for (int u = 0; u < 2; ++u) {
      const double weight = (u ? x - x0 : 1 - x + x0) * (v ? y - y0 : 1 - y + y0);
      for (size_t c = 0; c < 3; ++c) out[c] += weight * image.at(x0 + u, y0 + v)[c];
    }
  }
  return out;
}

TEST(Bake, ShowsTheVolumeEverywhereOnTheSurface) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> unit(0, 1);
  for (const auto& [name, surface] : surfaces()) {
    const Painted paint(surface, 32);
    const BakedObject object = baked(surface, paint, small(512));
    EXPECT_LE(object.report.unfilled, object.report.texels / 1000) << name;
    const VolumeSampler sampler = *VolumeSampler::over(paint.volume());
    const mesh::Mesh& mesh = object.scene.meshes[0];
    double error = 0;
    int count = 0;
    for (size_t t = 0; t < mesh.triangles.size(); ++t) {
      for (int i = 0; i < 4; ++i) {
        double a = unit(random), b = unit(random);
        if (a + b > 1) a = 1 - a, b = 1 - b;
        if (i == 0) a = b = 0;  // a corner, where the lookup leaves the chart
        const std::array<double, 3> w{1 - a - b, a, b};
        mesh::Vec3 place{};
        for (size_t k = 0; k < 3; ++k) {
          for (size_t c = 0; c < 3; ++c) {
            place[c] += static_cast<float>(w[k] * mesh.positions[mesh.triangles[t][k]][c]);
          }
        }
        const auto want = sampler.sample(place);
        if (!want) continue;
        const TexelPoint at = weighted(corners(mesh, t, 512), w);
        const auto color = looked_up(object.scene.images[0], at), material = looked_up(object.scene.images[1], at);
        for (size_t c = 0; c < 3; ++c) error += std::abs(color[c] - 255 * (*want)[c]);
        error += std::abs(material[1] - 255 * (*want)[4]) + std::abs(material[2] - 255 * (*want)[3]);
        count += 5;
      }
    }
    ASSERT_GT(count, 100) << name;
    EXPECT_LE(error / count, 2) << name;
  }
}

TEST(Bake, GivesTheSameForEveryThreadCount) {
  ovoxel::Shape crowd = ovoxel::sphere(0.4f, 60, 120);
  crowd.append(ovoxel::soup(60, 2));
  const mesh::Surface surface = surface_of(crowd);
  const Painted paint(surface_of(ovoxel::sphere(0.4f)), 32);
  BakeOptions options = small();
  options.threads = 1;
  const BakedObject one = baked(surface, paint, options);
  for (const int threads : {2, 5}) {
    options.threads = threads;
    const BakedObject other = baked(surface, paint, options);
    EXPECT_EQ(one.scene.meshes[0].uvs, other.scene.meshes[0].uvs);
    EXPECT_EQ(one.scene.meshes[0].triangles, other.scene.meshes[0].triangles);
    EXPECT_TRUE(one.scene.images[0].pixels == other.scene.images[0].pixels);
    EXPECT_TRUE(one.scene.images[1].pixels == other.scene.images[1].pixels);
  }
}

TEST(Bake, ChoosesTheAlphaMode) {
  const mesh::Surface surface = surface_of(ovoxel::sheet());
  const struct {
    AlphaChoice choice;
    float alpha;
    mesh::AlphaMode want;
  } rows[] = {{AlphaChoice::kOpaque, 0.5f, mesh::AlphaMode::kOpaque},
              {AlphaChoice::kBlend, 1, mesh::AlphaMode::kBlend},
              {AlphaChoice::kMask, 1, mesh::AlphaMode::kMask},
              {AlphaChoice::kAutomatic, 1, mesh::AlphaMode::kOpaque},
              {AlphaChoice::kAutomatic, 0.5f, mesh::AlphaMode::kBlend}};
  for (const auto& row : rows) {
    BakeOptions options = small(64);
    options.alpha = row.choice;
    const BakedObject object = baked(surface, Painted(surface, 16, row.alpha), options);
    EXPECT_EQ(object.report.alpha_mode, row.want);
    EXPECT_EQ(object.scene.materials[0].alpha_mode, row.want);
    EXPECT_EQ(object.scene.images[0].at(20, 20)[3], static_cast<uint8_t>(255 * row.alpha));
  }
}

TEST(Bake, LooksUpColoursAtTheReference) {
  const mesh::Surface small_sphere = surface_of(ovoxel::sphere(0.3f)), large = surface_of(ovoxel::sphere(0.4f));
  const Painted paint(small_sphere, 32);
  BakeOptions options = small();
  const auto snapped = bake(large, small_sphere, paint.volume(), options);
  ASSERT_TRUE(snapped.ok());
  EXPECT_EQ(snapped->report.unfilled, 0u);
  options.snap_to_reference = false;
  EXPECT_EQ(bake(large, small_sphere, paint.volume(), options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Bake, TellsProgressAndStops) {
  const mesh::Surface surface = surface_of(ovoxel::sphere(0.4f));
  const Painted paint(surface, 32);
  BakeOptions options = small();
  std::vector<double> done;
  std::set<std::string> steps;
  std::stop_source source;
  options.stop = source.get_token();
  options.progress = [&](std::string_view step, double part) { steps.emplace(step), done.push_back(part); };
  const BakedObject object = baked(surface, paint, options);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(steps, (std::set<std::string>{"charts", "lookup", "pack", "texels"}));
  EXPECT_EQ(object.report.steps.size(), 4u);
  options.progress = [&](std::string_view step, double) {
    if (step == "texels") source.request_stop();
  };
  EXPECT_EQ(bake(surface, surface, paint.volume(), options).status().code(), absl::StatusCode::kCancelled);
}

TEST(Bake, RefusesWhatItCannotBake) {
  const mesh::Surface good = surface_of(ovoxel::sheet());
  const Painted paint(good, 16);
  const auto refuses = [](const Result<BakedObject>& result, const char* part) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << part;
    EXPECT_NE(result.status().message().find(part), absl::string_view::npos) << result.status();
  };
  refuses(bake(good, good, paint.volume(), small(63)), "texture_size");
  refuses(bake(good, good, paint.volume(), small(8193)), "texture_size");
  refuses(bake({}, good, paint.volume(), small()), "no area");
  refuses(bake({{{0, 0, 0}, {1, 0, 0}, {2, 0, 0}}, {{0, 1, 2}}}, good, paint.volume(), small()), "no area");
  mesh::Surface bad = good;
  bad.triangles[0][1] = 1000;
  refuses(bake(bad, good, paint.volume(), small()), "out of range");
  bad = good;
  bad.positions[2][1] = NAN;
  refuses(bake(bad, good, paint.volume(), small()), "finite");
  refuses(bake(good, {}, paint.volume(), small()), "without triangles");
  Painted broken = paint;
  broken.values.pop_back();
  refuses(bake(good, good, broken.volume(), small()), "values");
  broken = paint;
  broken.values[3][2] = INFINITY;
  refuses(bake(good, good, broken.volume(), small()), "finite");
  broken = paint;
  broken.voxels[1] = broken.voxels[0];
  refuses(bake(good, good, broken.volume(), small()), "twice");
  broken = paint;
  broken.voxels[1][2] = 16;
  refuses(bake(good, good, broken.volume(), small()), "outside");
  broken.resolution = 4096;
  refuses(bake(good, good, broken.volume(), small()), "resolution");
  const mesh::Surface crumbs = surface_of(ovoxel::soup(5000, 3));
  refuses(bake(crumbs, crumbs, paint.volume(), small(64)), "no room");
}

// A square in z = 0 whose uvs are moved.
mesh::Mesh square(float du, float dv) {
  mesh::Mesh out;
  out.positions = {{-0.3f, -0.3f, 0}, {0.3f, -0.3f, 0}, {0.3f, 0.3f, 0}, {-0.3f, 0.3f, 0}};
  for (const mesh::Vec3& p : out.positions) out.uvs.push_back({p[0] + 0.5f + du, p[1] + 0.5f + dv});
  out.triangles = {{0, 1, 2}, {0, 2, 3}};
  out.material_ids = {-1, -1};
  return out;
}

TEST(BakeOntoUvs, KeepsTheUvsAndWrapsThemAround) {
  const mesh::Mesh plain = square(0, 0);
  const mesh::Surface surface{plain.positions, plain.triangles};
  const Painted paint(surface, 32);
  const auto whole = bake_onto_uvs(plain, surface, paint.volume(), small(128));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->scene.meshes[0].uvs, plain.uvs);
  EXPECT_EQ(whole->report.charts, 0u);
  const auto moved = bake_onto_uvs(square(-2.75f, 1.5f), surface, paint.volume(), small(128));
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->report.texels, whole->report.texels);
  for (int y = 30; y < 100; ++y) {
    for (int x = 30; x < 100; ++x) {
      const uint8_t* want = whole->scene.images[0].at(x, y);
      const uint8_t* got = moved->scene.images[0].at((x + 32) % 128, (y + 64) % 128);
      for (int c = 0; c < 4; ++c) ASSERT_NEAR(want[c], got[c], 1) << x << ", " << y;
    }
  }
}

TEST(BakeOntoUvs, RefusesUvsThatCannotHoldATexture) {
  const mesh::Mesh good = square(0, 0);
  const mesh::Surface surface{good.positions, good.triangles};
  const Painted paint(surface, 32);
  const auto fails = [&](const mesh::Mesh& mesh) {
    return bake_onto_uvs(mesh, surface, paint.volume(), small(64)).status().code() ==
           absl::StatusCode::kInvalidArgument;
  };
  mesh::Mesh bad = good;
  bad.uvs.clear();
  EXPECT_TRUE(fails(bad));
  bad = good;
  bad.uvs[1][0] = NAN;
  EXPECT_TRUE(fails(bad));
  bad.uvs[1][0] = 1e9f;
  EXPECT_TRUE(fails(bad));
  bad.uvs[1][0] = 1.5f;
  EXPECT_TRUE(fails(bad));
  bad = good;
  for (auto& uv : bad.uvs) uv = {0.5f, 0.5f};  // near a texel, so that it still gets a colour
  EXPECT_FALSE(fails(bad));
  EXPECT_TRUE(fails({}));
}

}  // namespace
}  // namespace espalier::bake
