#pragma once

#include "render/sampler.h"
#include "render/vector.h"

// Burley diffuse plus one GGX lobe with separable Smith masking; no energy compensation.
// References: Burley 2012; Walter et al. 2007; Heitz, "Sampling the GGX Distribution of Visible Normals", 2018.
namespace espalier::render {

struct Surface {
  V3 position, geometric_normal, normal;  // both normals on the viewer's side
  V3 diffuse;                             // linear, metals have none
  V3 specular;                            // reflectance at normal incidence
  V3 emission;
  float roughness = 0.5f, alpha = 1;
  float least_alpha = 0;     // GGX alpha is at least this
  bool has_specular = true;  // a face without material is pure Lambert
};

struct BsdfValue {
  V3 f_cos;       // BSDF times cosine
  float pdf = 0;  // of sample_bsdf, per solid angle
};

struct BsdfSample {
  V3 direction;
  BsdfValue value;
  bool glossy = false;  // which lobe was drawn
};

BsdfValue evaluate(const Surface& surface, V3 view, V3 light);

// `lobe` in [0, 1) picks the lobe. False when the drawn direction is below the surface.
bool sample_bsdf(const Surface& surface, V3 view, float lobe, Pair random, BsdfSample& sample);

}  // namespace espalier::render
