#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/records.h"

namespace espalier::coordinator {

// What jobs leave behind, in the open transaction of `sql`: prepared datasets, adapters, and the objects that failed.
class CatalogueRepository {
 public:
  template <class Message>
  using Numbered = std::vector<std::pair<long long, Message>>;  // row number for paging, and the message

  explicit CatalogueRepository(soci::session& sql) : sql_(sql) {}

  void insert_dataset(const std::string& tenant_id, const v1::Dataset& dataset);
  Result<v1::Dataset> find_dataset(const std::string& id, const std::string& tenant_id);
  Result<Numbered<v1::Dataset>> list_datasets(const std::string& tenant_id, const PageQuery& page);

  void insert_adapter(const std::string& tenant_id, const v1::Adapter& adapter);
  Result<v1::Adapter> find_adapter(const std::string& id, const std::string& tenant_id);
  // `denoiser` UNSPECIFIED: all; `job_id` empty: of all jobs.
  Result<Numbered<v1::Adapter>> list_adapters(const std::string& tenant_id, v1::Denoiser denoiser,
                                              const std::string& job_id, const PageQuery& page);

  // A path that was reported before keeps its first reason; says whether this one is new.
  bool put_failed_object(const std::string& job_id, const v1::ObjectReport& object);
  std::vector<v1::ObjectReport> failed_objects(const std::string& job_id);

 private:
  soci::session& sql_;
};

// Workers that ever attached, in the open transaction of `sql`.
class WorkerRepository {
 public:
  explicit WorkerRepository(soci::session& sql) : sql_(sql) {}
  // Epoch 0 when it never attached.
  WorkerRecord find(const std::string& id);
  void put(const WorkerRecord& worker);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
