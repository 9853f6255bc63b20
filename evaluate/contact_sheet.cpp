#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "evaluate/report.h"
#include "image/flatten.h"
#include "image/resample.h"
#include "image/text.h"

namespace espalier::evaluate {
namespace {

constexpr int kGap = 8, kTextScale = 1;
constexpr std::array<uint8_t, 3> kInk{40, 40, 40};

struct Tile {
  image::Image picture;  // RGB or RGBA; empty: left white
  std::string caption;   // below
};

std::string caption_of(const Score& score) {
  if (!score.shape) return absl::StrFormat("IoU %.2f", score.structure.iou);
  std::string text = absl::StrFormat("CD %.3f", score.shape->chamfer);
  if (score.color) absl::StrAppendFormat(&text, "  %.1f dB", score.color->psnr);
  return text;
}

// A grid of square tiles on white.
class Sheet {
 public:
  Sheet(int columns, int rows, int side) : side_(side) {
    const int text = image::text_height(kTextScale) + kGap / 2;
    step_x_ = side + kGap;
    step_y_ = side + text + kGap;
    top_ = text + kGap;
    sheet_.width = kGap + columns * step_x_;
    sheet_.height = top_ + rows * step_y_;
    sheet_.channels = 3;
    sheet_.pixels.assign(static_cast<size_t>(sheet_.width) * sheet_.height * 3, 255);
  }

  void title(int column, const std::string& text) { write(kGap + column * step_x_, kGap, text); }

  Status place(int column, int row, const Tile& tile) {
    const int x = kGap + column * step_x_, y = top_ + row * step_y_;
    write(x, y + side_ + kGap / 2, tile.caption);
    if (tile.picture.pixels.empty()) return absl::OkStatus();
    ESP_ASSIGN(const image::Image fitted, image::resize(tile.picture, side_, side_, image::Filter::kLanczos));
    const image::Image opaque = image::flattened(fitted, 255);
    for (int v = 0; v < side_; ++v) std::copy_n(opaque.at(0, v), side_ * 3, sheet_.at(x, y + v));
    return absl::OkStatus();
  }

  image::Image take() { return std::move(sheet_); }

 private:
  void write(int x, int y, const std::string& text) {
    image::draw_text(sheet_, x, y, image::shortened(text, kTextScale, side_), kTextScale, kInk);
  }

  image::Image sheet_;
  int side_, step_x_ = 0, step_y_ = 0, top_ = 0;
};

}  // namespace

Result<image::Image> contact_sheet(const EvaluationReport& report) {
  const auto seen = std::find_if(report.objects.begin(), report.objects.end(),
                                 [](const EvaluatedObject& object) { return !object.picture.pixels.empty(); });
  if (seen == report.objects.end()) return absl::InvalidArgumentError("the report has no pictures");
  Sheet sheet(2 + static_cast<int>(report.candidates.size()), static_cast<int>(report.objects.size()),
              seen->picture.width);
  sheet.title(0, absl::StrCat("picture given (view ", report.view, ")"));
  sheet.title(1, "object itself");
  for (size_t c = 0; c < report.candidates.size(); ++c) {
    const auto& candidate = report.candidates[c];
    const int column = 2 + static_cast<int>(c);
    sheet.title(column, candidate.name);
    for (size_t i = 0; i < candidate.answers.size(); ++i) {
      const Answer& answer = candidate.answers[i];
      ESP_TRY(sheet.place(column, static_cast<int>(i), {answer.picture, caption_of(answer.score)}));
    }
  }
  for (size_t i = 0; i < report.objects.size(); ++i) {
    const EvaluatedObject& object = report.objects[i];
    ESP_TRY(sheet.place(0, static_cast<int>(i), {object.given, object.name}));
    ESP_TRY(sheet.place(1, static_cast<int>(i), {object.picture, ""}));
  }
  return sheet.take();
}

}  // namespace espalier::evaluate
