#include "coordinator/services/catalogue_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/paging.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

// One page of `rows`, of which one more than `wanted` were asked for; the token of the next page, empty at the end.
template <class Message>
std::string fill_page(CatalogueRepository::Numbered<Message>& rows, int wanted, const std::string& scope,
                      google::protobuf::RepeatedPtrField<Message>* out) {
  const size_t count = std::min(rows.size(), static_cast<size_t>(wanted));
  for (size_t i = 0; i < count; ++i) *out->Add() = std::move(rows[i].second);
  return rows.size() > count ? next_token(rows[count - 1].first, scope) : "";
}

Status list_datasets(Database& database, const v1::ListDatasetsRequest& request, v1::ListDatasetsResponse* response) {
  const std::string scope = absl::StrCat("datasets ", kLocalTenant);
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  ESP_ASSIGN(auto rows, database.transaction([&](soci::session& sql) {
    return CatalogueRepository(sql).list_datasets(kLocalTenant, page);
  }));
  response->set_next_page_token(fill_page(rows, wanted, scope, response->mutable_datasets()));
  return absl::OkStatus();
}

Status list_adapters(Database& database, const v1::ListAdaptersRequest& request, v1::ListAdaptersResponse* response) {
  const std::string scope =
      absl::StrCat("adapters ", kLocalTenant, " ", static_cast<int>(request.denoiser()), " ", request.job_id());
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  ESP_ASSIGN(auto rows, database.transaction([&](soci::session& sql) {
    return CatalogueRepository(sql).list_adapters(kLocalTenant, request.denoiser(), request.job_id(), page);
  }));
  response->set_next_page_token(fill_page(rows, wanted, scope, response->mutable_adapters()));
  return absl::OkStatus();
}

}  // namespace

grpc::Status DatasetServiceHandler::GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest* request,
                                               v1::GetDatasetResponse* response) {
  auto dataset = database_.transaction(
      [&](soci::session& sql) { return CatalogueRepository(sql).find_dataset(request->dataset_id(), kLocalTenant); });
  if (dataset.ok()) *response->mutable_dataset() = *std::move(dataset);
  return to_grpc(dataset.status());
}

grpc::Status DatasetServiceHandler::ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest* request,
                                                 v1::ListDatasetsResponse* response) {
  return to_grpc(list_datasets(database_, *request, response));
}

grpc::Status AdapterServiceHandler::GetAdapter(grpc::ServerContext*, const v1::GetAdapterRequest* request,
                                               v1::GetAdapterResponse* response) {
  auto adapter = database_.transaction(
      [&](soci::session& sql) { return CatalogueRepository(sql).find_adapter(request->adapter_id(), kLocalTenant); });
  if (adapter.ok()) *response->mutable_adapter() = *std::move(adapter);
  return to_grpc(adapter.status());
}

grpc::Status AdapterServiceHandler::ListAdapters(grpc::ServerContext*, const v1::ListAdaptersRequest* request,
                                                 v1::ListAdaptersResponse* response) {
  return to_grpc(list_adapters(database_, *request, response));
}

}  // namespace espalier::coordinator
