#pragma once

#include "coordinator/retention/removal_desk.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/gate.h"
#include "espalier/v1/adapters.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"

namespace espalier::coordinator {

// DatasetService and AdapterService: reading and removing what jobs left behind.
class DatasetServiceHandler final : public v1::DatasetService::Service {
 public:
  DatasetServiceHandler(Gate& gate, Database& database, RemovalDesk& removal)
      : gate_(gate), database_(database), removal_(removal) {}
  grpc::Status GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest*, v1::GetDatasetResponse*) override;
  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest*, v1::ListDatasetsResponse*) override;
  grpc::Status DeleteDataset(grpc::ServerContext*, const v1::DeleteDatasetRequest*,
                             v1::DeleteDatasetResponse*) override;

 private:
  Gate& gate_;
  Database& database_;
  RemovalDesk& removal_;
};

class AdapterServiceHandler final : public v1::AdapterService::Service {
 public:
  AdapterServiceHandler(Gate& gate, Database& database, RemovalDesk& removal)
      : gate_(gate), database_(database), removal_(removal) {}
  grpc::Status GetAdapter(grpc::ServerContext*, const v1::GetAdapterRequest*, v1::GetAdapterResponse*) override;
  grpc::Status ListAdapters(grpc::ServerContext*, const v1::ListAdaptersRequest*, v1::ListAdaptersResponse*) override;
  grpc::Status DeleteAdapter(grpc::ServerContext*, const v1::DeleteAdapterRequest*,
                             v1::DeleteAdapterResponse*) override;

 private:
  Gate& gate_;
  Database& database_;
  RemovalDesk& removal_;
};

}  // namespace espalier::coordinator
