#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "image/image.h"

// How close two RGBA pictures of one view are. Colours are compared on black, as training feeds them to the encoder.
namespace espalier::render {

struct PictureMetrics {
  double psnr = 0;             // dB, whole picture
  double psnr_foreground = 0;  // dB, where either alpha is above 0
  double ssim = 0;             // of luma, uniform 7 x 7 window
  double luma_ratio = 0;       // total luma, tested / reference
  double alpha_iou = 0;        // of alpha above one half
  double alpha_mae = 0;
};

namespace metrics_detail {

struct Planes {
  std::vector<double> rgb, luma, alpha;  // rgb [3P] premultiplied
  explicit Planes(const image::Image& picture) {
    for (size_t i = 0; i < picture.pixels.size(); i += 4) {
      const double a = picture.pixels[i + 3] / 255.0;
      alpha.push_back(a);
      for (int c = 0; c < 3; ++c) rgb.push_back(picture.pixels[i + c] / 255.0 * a);
      const double* p = &rgb[rgb.size() - 3];
      luma.push_back(0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]);
    }
  }
};

inline double ssim(const std::vector<double>& a, const std::vector<double>& b, int width, int height) {
  constexpr int kWindow = 7;
  double total = 0;
  int windows = 0;
  for (int y = 0; y + kWindow <= height; ++y) {
    for (int x = 0; x + kWindow <= width; ++x, ++windows) {
      double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
      for (int i = 0; i < kWindow * kWindow; ++i) {
        const size_t at = static_cast<size_t>(y + i / kWindow) * width + x + i % kWindow;
        sa += a[at], sb += b[at], saa += a[at] * a[at], sbb += b[at] * b[at], sab += a[at] * b[at];
      }
      constexpr double n = kWindow * kWindow, c1 = 1e-4, c2 = 9e-4;
      const double ma = sa / n, mb = sb / n;
      const double va = saa / n - ma * ma, vb = sbb / n - mb * mb, cov = sab / n - ma * mb;
      total += (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
  }
  return windows ? total / windows : 1;
}

inline double decibels(double squared_error) { return -10 * std::log10(squared_error + 1e-12); }

}  // namespace metrics_detail

// Both are RGBA with straight alpha and of one size.
inline PictureMetrics compare_pictures(const image::Image& reference, const image::Image& tested) {
  const metrics_detail::Planes a(reference), b(tested);
  double error = 0, luma_a = 0, luma_b = 0, alpha_error = 0;
  size_t foreground = 0, both = 0, either = 0;
  for (size_t i = 0; i < a.alpha.size(); ++i) {
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) error += (a.rgb[c] - b.rgb[c]) * (a.rgb[c] - b.rgb[c]);
    luma_a += a.luma[i], luma_b += b.luma[i];
    alpha_error += std::abs(a.alpha[i] - b.alpha[i]);
    foreground += a.alpha[i] > 0 || b.alpha[i] > 0;
    both += a.alpha[i] > 0.5 && b.alpha[i] > 0.5;
    either += a.alpha[i] > 0.5 || b.alpha[i] > 0.5;
  }
  const double pixels = static_cast<double>(a.alpha.size());
  PictureMetrics m;
  m.psnr = metrics_detail::decibels(error / (3 * pixels));
  m.psnr_foreground = metrics_detail::decibels(error / (3 * std::max<double>(1, static_cast<double>(foreground))));
  m.ssim = metrics_detail::ssim(a.luma, b.luma, reference.width, reference.height);
  m.luma_ratio = luma_b / std::max(luma_a, 1e-12);
  m.alpha_iou = either ? static_cast<double>(both) / static_cast<double>(either) : 1;
  m.alpha_mae = alpha_error / pixels;
  return m;
}

}  // namespace espalier::render
