#pragma once

#include "coordinator/storage/database.h"
#include "espalier/v1/adapters.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"

namespace espalier::coordinator {

// DatasetService and AdapterService: reading what jobs left behind.
class DatasetServiceHandler final : public v1::DatasetService::Service {
 public:
  explicit DatasetServiceHandler(Database& database) : database_(database) {}
  grpc::Status GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest*, v1::GetDatasetResponse*) override;
  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest*, v1::ListDatasetsResponse*) override;

 private:
  Database& database_;
};

class AdapterServiceHandler final : public v1::AdapterService::Service {
 public:
  explicit AdapterServiceHandler(Database& database) : database_(database) {}
  grpc::Status GetAdapter(grpc::ServerContext*, const v1::GetAdapterRequest*, v1::GetAdapterResponse*) override;
  grpc::Status ListAdapters(grpc::ServerContext*, const v1::ListAdaptersRequest*, v1::ListAdaptersResponse*) override;

 private:
  Database& database_;
};

}  // namespace espalier::coordinator
