#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <limits>
#include <stop_token>

#include "client/command.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {

inline constexpr int kAll = std::numeric_limits<int>::max();  // as a limit

// A random UUID (version 4) for requests that are idempotent on their id.
std::string new_request_id();

// One unary call to the coordinator: call(command, &v1::TenantService::Stub::GetTenant, request).
// Errors as explain() puts them; CANCELLED: Ctrl-C.
template <class Stub, class Request, class Response>
Result<Response> call(const Command& command,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request) {
  Stub stub(coordinator_channel(command));
  grpc::ClientContext context;
  set_deadline(context);
  const std::stop_callback on_stop(command.stop, [&] { context.TryCancel(); });
  Response response;
  const Status status = from_grpc((stub.*method)(&context, request, &response));
  if (command.stop.stop_requested() && !status.ok()) return absl::CancelledError("stopped");
  ESP_TRY(explain(status, command.coordinator));
  return response;
}

// The pages of a listing until its end or until `limit` entries; `show(response)` prints a page and returns how many
// entries it has.
template <class Stub, class Request, class Response, class Show>
Status call_pages(const Command& command, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  Request request, int limit, Show show) {
  for (int left = limit; left > 0;) {
    request.mutable_page()->set_page_size(std::min(left, 1000));
    ESP_ASSIGN(const Response response, call(command, method, request));
    left -= show(response);
    request.mutable_page()->set_page_token(response.next_page_token());
    if (response.next_page_token().empty()) break;
  }
  return absl::OkStatus();
}

}  // namespace espalier::client
