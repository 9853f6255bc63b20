// espalier-nano: makes the nano base and writes the demo's assets.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "common/events.h"
#include "common/heap.h"
#include "common/log.h"
#include "nano/demo_objects.h"
#include "nano/recipe.h"

namespace {

using espalier::Status;
using espalier::nano::Recipe;

void add_recipe_options(CLI::App& command, Recipe& recipe) {
  command.add_option("--work", recipe.work, "Folder of cached objects and checkpoints")->capture_default_str();
  command.add_option("--base", recipe.base, "Folder of the base that is made")->capture_default_str();
  command.add_option("--seed", recipe.seed, "Seed of everything random")->capture_default_str();
  command.add_option("--threads", recipe.threads, "Rendering threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command.add_option("--objects", recipe.objects, "Objects trained on")
      ->capture_default_str()
      ->check(CLI::Range(20, 100000));
  command.add_option("--held", recipe.held, "Held-out objects")->capture_default_str()->check(CLI::Range(20, 10000));
  command.add_option("--views", recipe.views, "Views of an object")->capture_default_str()->check(CLI::Range(6, 64));
  command.add_option("--shapes", recipe.shapes, "Shapes the VAE is trained on")
      ->capture_default_str()
      ->check(CLI::Range(64, 100000));
  command.add_option("--vae-steps", recipe.vae_steps, "Updates of the VAE")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--encoder-steps", recipe.encoder_steps, "Updates of the image encoder alone")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--flow-steps", recipe.flow_steps, "Updates of the denoiser at the full rate")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--anneal-steps", recipe.anneal_steps, "Further updates with a falling rate")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command
      .add_option("--vae-grids", recipe.vae_grids, "Voxel grids each of the VAEs of shape and texture is trained on")
      ->capture_default_str()
      ->check(CLI::Range(16, 100000));
  command.add_option("--shape-vae-steps", recipe.shape_vae_steps, "Updates of the shape VAE")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--shape-flow-steps", recipe.shape_flow_steps, "Updates of the lower tier's shape denoiser")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command
      .add_option("--shape-flow-high-steps", recipe.shape_flow_high_steps,
                  "Updates of the higher tier's shape denoiser")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--texture-vae-steps", recipe.texture_vae_steps, "Updates of the texture VAE")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--texture-flow-steps", recipe.texture_flow_steps, "Updates of the texture denoiser")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_option("--high-objects", recipe.high_objects, "Objects the higher tier is trained on")
      ->capture_default_str()
      ->check(CLI::Range(20, 100000));
}

// A subcommand that runs one step of the recipe.
void add_step(CLI::App& app, const char* name, const char* description, Recipe& recipe, Status (*step)(const Recipe&),
              Status& outcome) {
  CLI::App* command = app.add_subcommand(name, description);
  add_recipe_options(*command, recipe);
  command->callback([&recipe, step, &outcome] { outcome = step(recipe); });
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // reports take minutes: a line is shown when it is known
  espalier::keep_freed_memory();
  espalier::configure_log("nano", espalier::LogLevel::kInfo, espalier::LogFormat::kText);
  CLI::App app{"Makes the nano base and writes the demo's assets."};
  app.require_subcommand(1);
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
  CLI::App* demo = app.add_subcommand("demo-assets", "Write objects outside the base's families as GLB files");
  demo->add_option("-o,--output", assets, "Folder, or a path ending in .zip")->required();
  demo->add_option("--count", count, "How many, 1 to 8")->capture_default_str();
  demo->callback([&] { outcome = espalier::nano::write_demo_assets(assets, count); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? espalier::kExitOk : espalier::kExitInvalid;
  }
  if (outcome.ok()) return espalier::kExitOk;
  std::fprintf(stderr, "espalier-nano: %s\n", std::string(outcome.message()).c_str());
  return absl::IsInvalidArgument(outcome) || absl::IsNotFound(outcome) ? espalier::kExitInvalid : espalier::kExitFailed;
}
