// espalier-nano: makes the nano base and writes the demo's assets.
#include <cstdio>
#include <string>

#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/heap.h"
#include "common/log.h"
#include "nano/demo_objects.h"
#include "nano/recipe.h"
#include "nn/threads.h"

namespace {

using espalier::Status;
using espalier::nano::Recipe;

void add_recipe_options(espalier::cli::App& command, Recipe& recipe) {
  command.option("--work", recipe.work, "Folder of cached objects and checkpoints").show_default();
  command.option("--base", recipe.base, "Folder of the base that is made").show_default();
  command.option("--seed", recipe.seed, "Seed of everything random").show_default();
  command.option("--threads", recipe.threads, "Rendering threads").show_default().range(1, 256);
  command.option("--objects", recipe.objects, "Objects trained on").show_default().range(20, 100000);
  command.option("--held", recipe.held, "Held-out objects").show_default().range(20, 10000);
  command.option("--views", recipe.views, "Views of an object").show_default().range(6, 64);
  command.option("--shapes", recipe.shapes, "Shapes the VAE is trained on").show_default().range(64, 100000);
  command.option("--vae-steps", recipe.vae_steps, "Updates of the VAE").show_default().range(1, 1000000);
  command.option("--encoder-steps", recipe.encoder_steps, "Updates of the image encoder alone")
      .show_default()
      .range(1, 1000000);
  command.option("--flow-steps", recipe.flow_steps, "Updates of the denoiser at the full rate")
      .show_default()
      .range(1, 1000000);
  command.option("--anneal-steps", recipe.anneal_steps, "Further updates with a falling rate")
      .show_default()
      .range(1, 1000000);
  command.option("--vae-grids", recipe.vae_grids, "Voxel grids each of the VAEs of shape and texture is trained on")
      .show_default()
      .range(16, 100000);
  command.option("--shape-vae-steps", recipe.shape_vae_steps, "Updates of the shape VAE")
      .show_default()
      .range(1, 1000000);
  command.option("--shape-flow-steps", recipe.shape_flow_steps, "Updates of the lower tier's shape denoiser")
      .show_default()
      .range(1, 1000000);
  command.option("--shape-flow-high-steps", recipe.shape_flow_high_steps, "Updates of the higher tier's shape denoiser")
      .show_default()
      .range(1, 1000000);
  command.option("--texture-vae-steps", recipe.texture_vae_steps, "Updates of the texture VAE")
      .show_default()
      .range(1, 1000000);
  command.option("--texture-flow-steps", recipe.texture_flow_steps, "Updates of the texture denoiser")
      .show_default()
      .range(1, 1000000);
  command.option("--high-objects", recipe.high_objects, "Objects the higher tier is trained on")
      .show_default()
      .range(20, 100000);
}

// A subcommand that runs one step of the recipe.
void add_step(espalier::cli::App& app, const char* name, const char* description, Recipe& recipe,
              Status (*step)(const Recipe&), Status& outcome) {
  espalier::cli::App& command = app.verb(name, description);
  add_recipe_options(command, recipe);
  command.run([&recipe, step, &outcome] { outcome = step(recipe); });
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // reports take minutes: a line is shown when it is known
  espalier::keep_freed_memory();
  espalier::nn::use_available_cores();
  espalier::configure_log("nano", espalier::LogLevel::kInfo, espalier::LogFormat::kText);
  espalier::cli::App app("espalier-nano", "Makes the nano base and writes the demo's assets.");
  app.require_verb();
  Recipe recipe;
  Status outcome;

  add_step(app, "corpus", "Make objects and render their views", recipe, espalier::nano::make_corpus, outcome);
  add_step(app, "vae", "Train the sparse-structure VAE", recipe, espalier::nano::train_ss_vae, outcome);
  add_step(app, "encoder", "Warm up the image encoder", recipe, espalier::nano::train_encoder, outcome);
  add_step(app, "flow", "Train the denoiser and the encoder", recipe, espalier::nano::train_ss_flow, outcome);
  add_step(app, "shape-vae", "Train the shape VAE", recipe, espalier::nano::train_shape_vae, outcome);
  add_step(app, "shape-flow", "Train the shape denoisers", recipe, espalier::nano::train_shape_flows, outcome);
  add_step(app, "texture-vae", "Train the texture VAE", recipe, espalier::nano::train_texture_vae, outcome);
  add_step(app, "texture-flow", "Train the texture denoiser", recipe, espalier::nano::train_texture_flow, outcome);
  add_step(app, "manifest", "Write pipeline.json and espalier.json", recipe, espalier::nano::write_manifest, outcome);
  add_step(app, "report", "Judge the base on held-out objects", recipe, espalier::nano::report_held_out, outcome);
  add_step(app, "report-shapes", "Judge the base's shapes on held-out objects", recipe, espalier::nano::report_shapes,
           outcome);
  add_step(app, "report-textures", "Judge the base's textures on held-out objects, as JSON", recipe,
           espalier::nano::report_textures, outcome);

  std::string assets;
  int count = 6;
  espalier::cli::App& demo = app.verb("demo-assets", "Write objects outside the base's families as GLB files");
  demo.option("-o,--output", assets, "Folder, or a path ending in .zip").required();
  demo.option("--count", count, "How many, 1 to 8").show_default();
  demo.run([&] { outcome = espalier::nano::write_demo_assets(assets, count); });

  if (const auto done = app.parse(argc, argv)) return *done;
  if (outcome.ok()) return espalier::kExitOk;
  std::fprintf(stderr, "espalier-nano: %s\n", std::string(outcome.message()).c_str());
  return espalier::exit_code(outcome);
}
