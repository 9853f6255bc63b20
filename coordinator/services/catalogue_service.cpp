#include "coordinator/services/catalogue_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/paging.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

// As fill_page of coordinator/paging.h, for rows that come with their number.
template <class Message>
std::string fill_numbered(CatalogueRepository::Numbered<Message>& rows, int wanted, const std::string& scope,
                          google::protobuf::RepeatedPtrField<Message>* out) {
  const size_t count = std::min(rows.size(), static_cast<size_t>(wanted));
  for (size_t i = 0; i < count; ++i) *out->Add() = std::move(rows[i].second);
  return rows.size() > count ? next_token(rows[count - 1].first, scope) : "";
}

Status list_datasets(Database& database, const Caller& caller, const v1::ListDatasetsRequest& request,
                     v1::ListDatasetsResponse* response) {
  const std::string scope = absl::StrCat("datasets ", caller.tenant_id);
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  ESP_ASSIGN(auto rows, database.read([&](soci::session& sql) {
    return CatalogueRepository(sql).list_datasets(caller.tenant_id, page);
  }));
  response->set_next_page_token(fill_numbered(rows, wanted, scope, response->mutable_datasets()));
  return absl::OkStatus();
}

Status list_adapters(Database& database, const Caller& caller, const v1::ListAdaptersRequest& request,
                     v1::ListAdaptersResponse* response) {
  const std::string scope =
      absl::StrCat("adapters ", caller.tenant_id, " ", static_cast<int>(request.denoiser()), " ", request.job_id());
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  ESP_ASSIGN(auto rows, database.read([&](soci::session& sql) {
    return CatalogueRepository(sql).list_adapters(caller.tenant_id, request.denoiser(), request.job_id(), page);
  }));
  response->set_next_page_token(fill_numbered(rows, wanted, scope, response->mutable_adapters()));
  return absl::OkStatus();
}

}  // namespace

grpc::Status DatasetServiceHandler::GetDataset(grpc::ServerContext* context, const v1::GetDatasetRequest* request,
                                               v1::GetDatasetResponse* response) {
  return gate_.admit<v1::GetDatasetRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_dataset(), database_.read([&](soci::session& sql) {
      return CatalogueRepository(sql).find_dataset(request->dataset_id(), caller.tenant_id);
    }));
    return absl::OkStatus();
  });
}

grpc::Status DatasetServiceHandler::ListDatasets(grpc::ServerContext* context, const v1::ListDatasetsRequest* request,
                                                 v1::ListDatasetsResponse* response) {
  return gate_.admit<v1::ListDatasetsRequest>(
      *context, [&](const Caller& caller) { return list_datasets(database_, caller, *request, response); });
}

grpc::Status AdapterServiceHandler::GetAdapter(grpc::ServerContext* context, const v1::GetAdapterRequest* request,
                                               v1::GetAdapterResponse* response) {
  return gate_.admit<v1::GetAdapterRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_adapter(), database_.read([&](soci::session& sql) {
      return CatalogueRepository(sql).find_adapter(request->adapter_id(), caller.tenant_id);
    }));
    return absl::OkStatus();
  });
}

grpc::Status AdapterServiceHandler::ListAdapters(grpc::ServerContext* context, const v1::ListAdaptersRequest* request,
                                                 v1::ListAdaptersResponse* response) {
  return gate_.admit<v1::ListAdaptersRequest>(
      *context, [&](const Caller& caller) { return list_adapters(database_, caller, *request, response); });
}

grpc::Status DatasetServiceHandler::DeleteDataset(grpc::ServerContext* context, const v1::DeleteDatasetRequest* request,
                                                  v1::DeleteDatasetResponse*) {
  return gate_.admit<v1::DeleteDatasetRequest>(
      *context, [&](const Caller& caller) { return removal_.delete_dataset(caller, request->dataset_id()); });
}

grpc::Status AdapterServiceHandler::DeleteAdapter(grpc::ServerContext* context, const v1::DeleteAdapterRequest* request,
                                                  v1::DeleteAdapterResponse*) {
  return gate_.admit<v1::DeleteAdapterRequest>(
      *context, [&](const Caller& caller) { return removal_.delete_adapter(caller, request->adapter_id()); });
}

}  // namespace espalier::coordinator
