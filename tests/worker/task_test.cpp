#include "worker/task.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "common/files.h"
#include "rpc/channel.h"
#include "rpc/server.h"

// Whole tasks, with shell scripts for the task programs.
namespace espalier::worker {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

// Takes every upload whole.
class Artefacts final : public v1::ArtefactService::Service {
 public:
  grpc::Status StatUpload(grpc::ServerContext*, const v1::StatUploadRequest*, v1::StatUploadResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override {
    v1::UploadRequest part;
    std::string name, bytes;
    while (reader->Read(&part)) {
      if (part.has_header()) name = part.header().file_name();
      bytes += part.data();
    }
    const std::lock_guard lock(mutex_);
    files_[name] = bytes;
    response->mutable_artefact()->set_artefact_id("art_" + name);
    return grpc::Status::OK;
  }
  std::map<std::string, std::string> files() {
    const std::lock_guard lock(mutex_);
    return files_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
};

// Reads $out, $fd and $logs from the arguments.
constexpr const char* kArguments = R"(#!/bin/sh
arguments="$*"
while [ $# -gt 0 ]; do
  case "$1" in -o) out="$2";; --progress-fd) fd="$2";; --log-dir) logs="$2";; esac
  shift
done
)";
constexpr const char* kTrain = R"(
echo adapter > "$out"
mkdir -p "$logs"; echo metrics > "$logs/metrics.jsonl"
echo '{"event":"validation","when":"after","step":100,"loss":0.5}' > /dev/fd/$fd
)";
constexpr const char* kEvaluate = R"(
echo '{"event":"evaluation","candidate":"base","done":1,"total":2}' > /dev/fd/$fd
mkdir -p "$out"; echo picture > "$out/contact_sheet.png"; echo "$arguments" > "$out/arguments"
echo '{"view":3,"held_out":"view","objects":["a","b"],"candidates":[
  {"name":"base","mean":{"iou":0.5,"f1":0.6},"objects":[]},
  {"name":"adapters","mean":{"iou":0.7,"f1":0.8,"chamfer":0.01,"f_score":0.9,"normal_consistency":0.95},"objects":[]}]
}' > "$out/evaluation.json"
)";

class TaskTest : public testing::Test {
 protected:
  TaskTest() {
    server_ = *RpcServer::start({}, {&service_});
    stub_ = v1::ArtefactService::NewStub(*open_channel(server_->address(), {}));
    config_.programs = (folder_.path() / "programs").string();
    config_.data_dir = (folder_.path() / "data").string();
    config_.base = "/base";
    config_.threads_per_task = 1;
    for (const char* made : {"programs", "data/cache", "data/tasks"}) fs::create_directories(folder_.path() / made);
    EXPECT_TRUE(write_file_atomic(folder_.path() / "data/cache/dataset.zip", "a dataset").ok());
    write_program("espalier-train", kTrain);
    task_.mutable_lease()->set_task_id("task_x");
    task_.set_job_id("job_x");
    task_.mutable_train()->mutable_dataset()->set_sha256("dataset");
    task_.mutable_train()->set_denoiser(v1::DENOISER_GEOMETRY);
    task_.mutable_train()->set_steps(100);
    task_.mutable_train()->set_evaluation_view(3);
  }

  void write_program(const std::string& name, const std::string& lines) {
    const fs::path file = fs::path(config_.programs) / name;
    ASSERT_TRUE(write_file_atomic(file, kArguments + lines).ok());
    fs::permissions(file, fs::perms::owner_all);
  }

  // The reports of the task, the last of which is its end.
  std::vector<v1::WorkerMessage> run() {
    std::vector<v1::WorkerMessage> reports;
    Workspace workspace(config_.data_dir, uint64_t{1} << 30);
    std::atomic<bool> over = false;
    run_task({config_, *stub_, workspace}, task_,
             [&](v1::WorkerMessage message) {
               if (message.has_evaluation_progress()) on_evaluation_();
               reports.push_back(std::move(message));
             },
             {stop_.get_token(), over, 0});
    return reports;
  }

  static v1::TrainResult result_of(const std::vector<v1::WorkerMessage>& reports) {
    EXPECT_TRUE(reports.back().has_task_finished() && reports.back().task_finished().has_trained())
        << reports.back().DebugString();
    return reports.back().task_finished().trained();
  }

  TempDir folder_ = *TempDir::create();
  Artefacts service_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::ArtefactService::Stub> stub_;
  WorkerConfig config_;
  v1::AssignTask task_;
  std::stop_source stop_;
  std::function<void()> on_evaluation_ = [] {};
};

TEST_F(TaskTest, TellsOfTheAdapterBeforeItIsJudgedAndThenTheScores) {
  write_program("espalier-evaluate", kEvaluate);
  const auto reports = run();
  const v1::TrainResult result = result_of(reports);
  EXPECT_EQ(result.artefact_id(), "art_geometry.safetensors");
  EXPECT_EQ(result.validation_loss_after(), 0.5);
  EXPECT_EQ(result.evaluation().view(), 3);
  EXPECT_EQ(result.evaluation().objects(), 2);
  ASSERT_EQ(result.evaluation().candidates_size(), 2);
  EXPECT_EQ(result.evaluation().candidates(0).candidate(), "base");
  EXPECT_EQ(result.evaluation().candidates(0).iou(), 0.5);
  EXPECT_FALSE(result.evaluation().candidates(0).has_chamfer());
  EXPECT_EQ(result.evaluation().candidates(1).f_score(), 0.9);

  const auto stored =
      std::find_if(reports.begin(), reports.end(), [](const auto& m) { return m.has_adapter_stored(); });
  ASSERT_NE(stored, reports.end());
  EXPECT_EQ(stored->adapter_stored().result().artefact_id(), result.artefact_id());
  const auto progress = std::find_if(stored, reports.end(), [](const auto& m) { return m.has_evaluation_progress(); });
  ASSERT_NE(progress, reports.end()) << "the progress comes after the adapter";
  EXPECT_EQ(progress->evaluation_progress().progress().done(), 1);
}

TEST_F(TaskTest, StoresTheReportBesideTheCourseOfTheTraining) {
  write_program("espalier-evaluate", kEvaluate);
  run();
  const auto files = service_.files();
  for (const char* name :
       {"geometry.safetensors", "geometry.metrics.jsonl", "geometry.evaluation.json", "geometry.contact_sheet.png"}) {
    EXPECT_THAT(files, Contains(Key(name)));
  }
  EXPECT_THAT(files.at("geometry.arguments"),
              testing::AllOf(HasSubstr("/cache/dataset.zip --base /base"), HasSubstr("--view 3"),
                             HasSubstr("/tasks/task_x/adapter.safetensors")));
}

TEST_F(TaskTest, JudgesNothingUnasked) {
  task_.mutable_train()->clear_evaluation_view();
  const auto reports = run();  // there is no program for it
  EXPECT_FALSE(result_of(reports).has_evaluation());
  EXPECT_EQ(result_of(reports).evaluation_error(), "");
  for (const auto& report : reports) EXPECT_FALSE(report.has_adapter_stored());
}

TEST_F(TaskTest, AnEvaluationThatFailsTakesNothingFromTheTraining) {
  struct Row {
    const char* program;
    const char* says;
  };
  for (const Row& row :
       {Row{"echo no picture of them >&2; exit 2", "no picture of them"},
        Row{R"(echo '{"event":"error","code":"X","message":"too large"}' >/dev/fd/$fd; exit 3)", "too large"},
        Row{"kill -9 $$", "out of memory?"}, Row{"exit 0", "evaluation.json"},
        Row{R"(mkdir "$out"; echo '{"view":"x"}' > "$out/evaluation.json")", "not an evaluation"}}) {
    write_program("espalier-evaluate", row.program);
    const auto result = result_of(run());
    EXPECT_EQ(result.artefact_id(), "art_geometry.safetensors");
    EXPECT_FALSE(result.has_evaluation());
    EXPECT_THAT(result.evaluation_error(), HasSubstr(row.says));
  }
}

TEST_F(TaskTest, StopsTheEvaluationAndKeepsTheTraining) {
  write_program("espalier-evaluate",
                R"(echo '{"event":"evaluation","candidate":"base","done":0,"total":2}' > /dev/fd/$fd; sleep 600)");
  on_evaluation_ = [this] { stop_.request_stop(); };
  const auto result = result_of(run());
  EXPECT_EQ(result.evaluation_error(), "it was stopped");
  EXPECT_FALSE(fs::exists(folder_.path() / "data/tasks/task_x")) << "no other attempt will come";
}

TEST_F(TaskTest, JudgesNothingThatWasNotTrained) {
  write_program("espalier-train", "exit 3");
  const auto reports = run();
  EXPECT_TRUE(reports.back().task_finished().has_failure());
  for (const auto& report : reports) EXPECT_FALSE(report.has_adapter_stored());
}

TEST_F(TaskTest, AMemberThatDoesNotLeadJudgesNothing) {
  write_program("espalier-evaluate", kEvaluate);
  task_.mutable_lease()->set_member(1);
  task_.mutable_train()->mutable_gang()->set_world_size(2);
  const auto reports = run();
  EXPECT_TRUE(reports.back().task_finished().has_member_done());
  EXPECT_THAT(service_.files(), Not(Contains(Key("geometry.evaluation.json"))));
}

}  // namespace
}  // namespace espalier::worker
