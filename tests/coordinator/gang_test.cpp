#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/tenants/tenant_repository.h"
#include "tests/coordinator/denoisers.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {
namespace {

using std::chrono::seconds;

v1::SubmitJobRequest gang_request(Inside& inside, int ranks, const std::string& id = "gang-request") {
  v1::SubmitJobRequest request = inside.request(id, {kSs});
  request.mutable_spec()->set_world_size(ranks);
  return request;
}

v1::WorkerMessage rendezvous(const v1::AssignTask& task, int port = 4711) {
  v1::WorkerMessage message;
  *message.mutable_rendezvous_ready()->mutable_lease() = task.lease();
  message.mutable_rendezvous_ready()->set_port(port);
  return message;
}

v1::WorkerMessage begun(const v1::AssignTask& task) {
  v1::WorkerMessage message;
  *message.mutable_task_started()->mutable_lease() = task.lease();
  return message;
}

v1::WorkerMessage member_done(const v1::AssignTask& task) {
  v1::WorkerMessage message;
  *message.mutable_task_finished()->mutable_lease() = task.lease();
  message.mutable_task_finished()->mutable_member_done();
  return message;
}

// Two workers of one slot, and a job whose gang of two has come to some point.
struct Gang {
  explicit Gang(int ranks = 2, int slots = 1) : a(inside, kWorkerA, slots), b(inside, kWorkerB, slots) {
    EXPECT_TRUE(a.attach().ok());
    const auto submitted = inside.desk->submit(kLocalTenant, gang_request(inside, ranks));
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    job = submitted->job().job_id();
    EXPECT_TRUE(a.prepared(*a.link->assigned()).ok());
    EXPECT_TRUE(b.attach().ok());
    first = *a.link->assigned();
  }
  void meet() {
    EXPECT_TRUE(a.report(rendezvous(first)).ok());
    second = *b.link->assigned();
  }
  void begin() {
    meet();
    EXPECT_TRUE(a.report(begun(first)).ok());
    EXPECT_TRUE(b.report(begun(second)).ok());
  }
  v1::DenoiserStatus status() { return inside.job(job).denoisers(0); }
  void later(std::chrono::milliseconds time) {
    inside.clock.advance(time);
    inside.scheduler->tick();
  }

  Inside inside;
  FakeWorker a, b;
  std::string job;
  v1::AssignTask first, second;
};

TEST(Gang, IsCalledTogetherByItsFirstMemberAndTrains) {
  Gang gang;
  EXPECT_EQ(gang.first.train().gang().world_size(), 2);
  EXPECT_EQ(gang.first.train().gang().master_port(), 0);
  EXPECT_EQ(gang.first.lease().member(), 0);
  EXPECT_FALSE(gang.b.link->assigned()) << "member 0 does not listen yet";
  gang.begin();
  EXPECT_EQ(gang.second.train().gang().master_port(), 4711);
  EXPECT_EQ(gang.second.train().gang().master_host(), "host-of-" + kWorkerA);
  EXPECT_EQ(gang.second.lease().member(), 1);
  EXPECT_EQ(gang.second.lease().fencing_token(), gang.first.lease().fencing_token());
  EXPECT_EQ(gang.status().world_size(), 2);
  EXPECT_EQ(gang.status().state(), v1::STAGE_STATE_RUNNING);
  ASSERT_TRUE(gang.a.progress(gang.first, 7).ok());
  ASSERT_TRUE(gang.b.progress(gang.second, 9).ok());
  gang.later(seconds(2));
  EXPECT_EQ(gang.status().step(), 7) << "only member 0 speaks for the gang";
  ASSERT_TRUE(gang.b.report(member_done(gang.second)).ok());
  ASSERT_TRUE(gang.a.trained(gang.first).ok());
  EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(Gang, SitsOnOneWorkerThatHasTheSlots) {
  Gang gang(/*ranks=*/2, /*slots=*/3);
  ASSERT_TRUE(gang.a.report(rendezvous(gang.first)).ok());
  const auto second = gang.a.link->assigned();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->lease().member(), 1);
  ASSERT_TRUE(gang.a.failed(*second, false).ok());
  EXPECT_EQ(gang.a.link->cancelled()->lease().member(), 0) << "its sibling on the same worker is told";
}

TEST(Gang, KeepsItsSlotsFreeOfOtherTasksUntilItMeets) {
  Gang gang;
  gang.inside.submit();
  gang.later(seconds(1));
  EXPECT_FALSE(gang.b.link->assigned()) << "the slot is kept for member 1";
  gang.meet();
  EXPECT_EQ(gang.second.lease().member(), 1);
}

TEST(Gang, EndsForAllWhenAMemberFailsAndRefusesItsZombie) {
  Gang gang;
  gang.begin();
  ASSERT_TRUE(gang.b.failed(gang.second, /*permanent=*/false).ok());
  EXPECT_EQ(gang.a.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
  EXPECT_FALSE(gang.b.link->cancelled()) << "it has told its end itself";
  EXPECT_EQ(gang.inside.store(v1::ARTEFACT_KIND_ADAPTER, "late", &gang.first.lease()), "");
  ASSERT_TRUE(gang.a.trained(gang.first).ok()) << "acked and ignored";
  EXPECT_EQ(gang.status().state(), v1::STAGE_STATE_WAITING);
  gang.later(seconds(2));
  const auto again = gang.a.link->assigned();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->lease().attempt(), 2);
  EXPECT_EQ(again->train().gang().world_size(), 2);
  ASSERT_TRUE(gang.b.report(member_done(gang.second)).ok()) << "a zombie of the first attempt";
  EXPECT_EQ(gang.status().state(), v1::STAGE_STATE_RUNNING);
  EXPECT_EQ(gang.status().attempt(), 2);
}

TEST(Gang, LosesOneMemberAndGoesOnSmallerFromItsCheckpoint) {
  for (const bool met : {false, true}) {
    SCOPED_TRACE(met);
    Gang gang;
    if (met) gang.begin();
    const std::string state = gang.inside.store(v1::ARTEFACT_KIND_CHECKPOINT, "state", &gang.first.lease());
    v1::WorkerMessage saved;
    *saved.mutable_checkpoint_saved()->mutable_lease() = gang.first.lease();
    saved.mutable_checkpoint_saved()->set_step(50);
    saved.mutable_checkpoint_saved()->set_artefact_id(state);
    ASSERT_TRUE(gang.a.report(saved).ok());
    gang.b.detach();  // its machine is gone
    for (int i = 0; i < 4; ++i) {
      gang.inside.clock.advance(seconds(10));
      ASSERT_TRUE(gang.a.heartbeat({gang.first.lease()}).ok());
      gang.inside.scheduler->tick();
    }
    EXPECT_EQ(gang.a.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
    gang.later(seconds(20));
    EXPECT_FALSE(gang.a.link->assigned()) << "the other worker may come back";
    EXPECT_EQ(gang.status().world_size(), 2);
    gang.later(seconds(20));
    const auto alone = gang.a.link->assigned();
    ASSERT_TRUE(alone);
    EXPECT_FALSE(alone->train().has_gang());
    EXPECT_EQ(alone->train().checkpoint().artefact_id(), state);
    EXPECT_EQ(gang.status().world_size(), 1);
    ASSERT_TRUE(gang.a.trained(*alone).ok());
    EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_SUCCEEDED);
  }
}

TEST(Gang, FailsTheAttemptWhenItsMembersDoNotMeet) {
  for (const bool listens : {false, true}) {
    SCOPED_TRACE(listens);
    Gang gang;
    gang.inside.leases.rendezvous = seconds(60);
    if (listens) {
      gang.meet();
      ASSERT_TRUE(gang.a.report(begun(gang.first)).ok());  // member 1 never begins
    }
    for (int i = 0; i < 61; ++i) {
      gang.inside.clock.advance(seconds(10));
      ASSERT_TRUE(gang.a.heartbeat({gang.first.lease()}).ok());
      ASSERT_TRUE(gang.b.heartbeat(listens ? std::vector{gang.second.lease()} : std::vector<v1::TaskLease>()).ok());
    }
    EXPECT_EQ(gang.status().state(), v1::STAGE_STATE_RUNNING);
    gang.inside.scheduler->tick();
    EXPECT_EQ(gang.status().state(), v1::STAGE_STATE_WAITING);
    EXPECT_THAT(gang.status().error(), ::testing::HasSubstr("did not find each other"));
    EXPECT_EQ(gang.a.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
    EXPECT_EQ(gang.b.link->cancelled().has_value(), listens) << "a member that was never called has nothing to stop";
  }
}

TEST(Gang, RefusesResultsAndPortsThatCannotBe) {
  Gang gang;
  gang.begin();
  ASSERT_TRUE(gang.b.trained(gang.second).ok());
  EXPECT_THAT(gang.status().error(), ::testing::HasSubstr("only member 0"));
  Gang other;
  ASSERT_TRUE(other.a.report(rendezvous(other.first, 0)).ok());
  EXPECT_THAT(other.status().error(), ::testing::HasSubstr("port"));
  Gang third;
  third.begin();
  ASSERT_TRUE(third.a.report(member_done(third.first)).ok());
  EXPECT_THAT(third.status().error(), ::testing::HasSubstr("member 0 must tell"));
}

TEST(Gang, GoesOnAcrossARestartOfTheCoordinator) {
  for (const bool met : {false, true}) {
    SCOPED_TRACE(met);
    Gang gang;
    if (met) gang.begin();
    gang.inside.clock.advance(seconds(500));
    gang.inside.reopen();
    gang.inside.scheduler->tick();
    ASSERT_TRUE(gang.a.attach({gang.first.lease()}).ok());
    ASSERT_TRUE(gang.b.attach(met ? std::vector{gang.second.lease()} : std::vector<v1::TaskLease>()).ok());
    EXPECT_FALSE(gang.a.link->cancelled());
    EXPECT_FALSE(gang.b.link->cancelled());
    if (!met) gang.begin();
    ASSERT_TRUE(gang.b.report(member_done(gang.second)).ok());
    ASSERT_TRUE(gang.a.trained(gang.first).ok());
    EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_SUCCEEDED);
    EXPECT_EQ(gang.status().attempt(), 1);
  }
}

TEST(Gang, IsHandedBackWhenAMembersWorkerStops) {
  Gang gang;
  gang.begin();
  ASSERT_TRUE(gang.b.stopped(gang.second).ok());
  EXPECT_EQ(gang.a.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
  EXPECT_EQ(gang.status().error(), "");
  EXPECT_EQ(gang.status().attempt(), 2) << "the slots are still there: it goes on at once";
}

TEST(Gang, IsCancelledWhenItsLastMemberHasStopped) {
  Gang gang;
  gang.begin();
  EXPECT_EQ(gang.inside.desk->cancel(kLocalTenant, gang.job)->state(), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(gang.a.link->cancelled()->reason(), v1::CANCEL_REASON_BY_USER);
  EXPECT_EQ(gang.b.link->cancelled()->reason(), v1::CANCEL_REASON_BY_USER);
  ASSERT_TRUE(gang.a.stopped(gang.first).ok());
  EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_CANCELLING);
  gang.b.detach();  // this one is never heard of again
  gang.later(seconds(31));
  EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_CANCELLED);
}

TEST(Gang, IsCancelledBeforeItMeetsAndWhileItWaits) {
  Gang gang;
  ASSERT_TRUE(gang.inside.desk->cancel(kLocalTenant, gang.job).ok());
  EXPECT_FALSE(gang.b.link->cancelled()) << "it was never called";
  ASSERT_TRUE(gang.a.stopped(gang.first).ok());
  EXPECT_EQ(gang.inside.job(gang.job).state(), v1::JOB_STATE_CANCELLED);
  const auto waiting = gang.inside.desk->submit(kLocalTenant, gang_request(gang.inside, 8, "gang-of-eight"));
  ASSERT_TRUE(gang.a.prepared(*gang.a.link->assigned()).ok());
  EXPECT_EQ(gang.inside.job(waiting->job().job_id()).waiting_for(),
            "its gang of 8: the attached workers have 2 slots for it");
  EXPECT_EQ(gang.inside.desk->cancel(kLocalTenant, waiting->job().job_id())->state(), v1::JOB_STATE_CANCELLED);
}

// Gives the local tenant these limits and lets the scheduler read them.
void limit(Inside& inside, int queued, int running, int gpus) {
  const Status stored = inside.database->transaction([&](soci::session& sql) -> Status {
    TenantRepository tenants(sql);
    TenantRecord tenant;
    tenant.id = kLocalTenant;
    tenant.post_paid = true;
    tenant.limits = no_limits();
    tenant.limits.set_max_queued_jobs(queued);
    tenant.limits.set_max_running_jobs(running);
    tenant.limits.set_max_gpus(gpus);
    tenants.insert(tenant);
    return absl::OkStatus();
  });
  ASSERT_TRUE(stored.ok()) << stored;
  inside.clock.advance(seconds(5));
  inside.scheduler->tick();
}

TEST(Quotas, RefuseMoreQueuedJobsButRepeatThoseThatAreThere) {
  Inside inside;
  limit(inside, /*queued=*/2, 0, /*gpus=*/4);
  const auto submit = [&](const std::string& id, int ranks = 1) {
    return inside.desk->submit(kLocalTenant, gang_request(inside, ranks, id));
  };
  ASSERT_TRUE(submit("request-a").ok());
  ASSERT_TRUE(submit("request-b").ok());
  const Status refused = submit("request-c").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(exceeded_quota(refused), "max_queued_jobs");
  EXPECT_TRUE(submit("request-a")->duplicate());
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  EXPECT_TRUE(submit("request-c").ok()) << "one has begun";
  EXPECT_EQ(exceeded_quota(submit("request-d", 5).status()), "max_gpus");
}

TEST(Quotas, LetJobsWaitThatWouldBeTooManyAtOnce) {
  Inside inside;
  limit(inside, 0, /*running=*/1, 0);
  FakeWorker worker(inside, kWorkerA, /*slots=*/4);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job first = inside.submit();
  const v1::Job second = inside.submit();
  ASSERT_TRUE(worker.link->assigned());
  EXPECT_FALSE(worker.link->assigned());
  EXPECT_EQ(inside.job(second.job_id()).waiting_for(), "the tenant's limit of 1 running jobs");
  EXPECT_EQ(inside.job(second.job_id()).queue_position(), 0);
  EXPECT_EQ(inside.job(first.job_id()).queue_position(), -1);
}

TEST(Priorities, ArePartOfTheJobAndDecideWhoIsNext) {
  Inside inside;
  v1::SubmitJobRequest request = inside.request("request-low", {kSs});
  request.set_priority(v1::PRIORITY_LOW);
  const auto low = inside.desk->submit(kLocalTenant, request);
  EXPECT_EQ(low->job().priority(), v1::PRIORITY_LOW);
  const v1::Job normal = inside.submit();
  EXPECT_EQ(normal.priority(), v1::PRIORITY_NORMAL);
  EXPECT_EQ(normal.queue_position(), 0);
  EXPECT_EQ(inside.job(low->job().job_id()).queue_position(), 1);
  inside.reopen();
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  EXPECT_EQ(worker.link->assigned()->job_id(), normal.job_id()) << "also after a restart";
  request.set_request_id("request-odd");
  request.set_priority(static_cast<v1::Priority>(9));
  EXPECT_EQ(field_faults(inside.desk->submit(kLocalTenant, request).status()).at(0).field, "priority");
}

}  // namespace
}  // namespace espalier::coordinator
