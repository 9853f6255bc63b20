#include "worker/task_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace espalier::worker {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

WorkerConfig config() {
  WorkerConfig config;
  config.programs = "/bin";
  config.base = "/base";
  config.threads_per_task = 3;
  config.advertise_address = "10.0.0.7";
  config.answer_timeout = std::chrono::milliseconds(90'500);
  return config;
}

v1::AssignTask training(int member) {
  v1::AssignTask task;
  task.mutable_lease()->set_task_id("task_x");
  task.mutable_lease()->set_member(member);
  task.set_job_id("job_x");
  task.mutable_train()->set_denoiser(v1::DENOISER_SPARSE_STRUCTURE);
  task.mutable_train()->mutable_gang()->set_world_size(4);
  if (member > 0) {
    task.mutable_train()->mutable_gang()->set_master_host("10.0.0.8");
    task.mutable_train()->mutable_gang()->set_master_port(4000);
  }
  return task;
}

// Arguments joined by spaces, as one reads them.
std::string line_of(const WorkerConfig& config, const v1::AssignTask& task) {
  auto files = task_files(task, "/tasks/" + folder_name(task.lease()));
  for (const auto& input : inputs_of(task)) files.inputs.emplace_back("/cache/" + input.sha256() + ".zip");
  return absl::StrJoin(task_command(config, task, files, 0).argv, " ");
}

std::vector<std::string> environment_of(const WorkerConfig& config, int slot) {
  const auto task = training(0);
  auto files = task_files(task, "/tasks/x");
  files.inputs.emplace_back("/cache/x.zip");
  return task_command(config, task, files, slot).environment;
}

TEST(TaskCommand, MemberZeroListensOnTheAdvertisedAddress) {
  EXPECT_THAT(
      line_of(config(), training(0)),
      HasSubstr("--world-size 4 --member 0 --rendezvous 10.0.0.7:0 --rendezvous-timeout 600 --answer-timeout 91"));
}

TEST(TaskCommand, OtherMembersGoToMemberZero) {
  EXPECT_THAT(line_of(config(), training(2)), HasSubstr("--member 2 --rendezvous 10.0.0.8:4000"));
  EXPECT_THAT(line_of(config(), training(2)), HasSubstr("/tasks/task_x-member-2/"));
  EXPECT_THAT(line_of(config(), training(0)), HasSubstr("/tasks/task_x/"));
}

TEST(TaskCommand, ATrainingAloneHasNoGroup) {
  auto task = training(0);
  task.mutable_train()->clear_gang();
  EXPECT_THAT(line_of(config(), task), Not(HasSubstr("--world-size")));
}

TEST(TaskCommand, PreparesAShard) {
  v1::AssignTask task;
  task.mutable_preprocess()->mutable_source()->set_sha256("s");
  task.mutable_preprocess()->set_shards(1);
  EXPECT_THAT(line_of(config(), task), Not(HasSubstr("--shard")));
  EXPECT_THAT(line_of(config(), task), Not(HasSubstr("--blender")));
  WorkerConfig with_blender = config();
  with_blender.blender = "/opt/blender/blender";
  EXPECT_THAT(line_of(with_blender, task), HasSubstr("--blender /opt/blender/blender"));
  task.mutable_preprocess()->set_shard(2);
  task.mutable_preprocess()->set_shards(3);
  EXPECT_THAT(line_of(config(), task), HasSubstr("/cache/s.zip"));
  EXPECT_THAT(line_of(config(), task), HasSubstr("--shard 2/3"));
}

TEST(TaskCommand, MergesPartsInOrderAndNothingElse) {
  v1::AssignTask task;
  task.mutable_lease()->set_task_id("m");
  for (const char* part : {"a", "b"}) task.mutable_merge()->add_parts()->set_sha256(part);
  EXPECT_EQ(line_of(config(), task),
            "/bin/espalier-preprocess --merge /cache/a.zip /cache/b.zip --progress-fd {progress-fd} -o "
            "/tasks/m/dataset.zip");
}

TEST(TaskCommand, GivesEverySlotItsDevice) {
  auto two = config();
  two.devices = {"4", "GPU-7"};
  EXPECT_THAT(environment_of(two, 0), Contains("CUDA_VISIBLE_DEVICES=4"));
  EXPECT_THAT(environment_of(two, 1), Contains("CUDA_VISIBLE_DEVICES=GPU-7"));
  EXPECT_THAT(environment_of(two, 2), Contains("CUDA_VISIBLE_DEVICES=4"));
  EXPECT_THAT(environment_of(config(), 1), Contains("OMP_NUM_THREADS=3"));
}

}  // namespace
}  // namespace espalier::worker
