#include "coordinator/metrics/endpoint.h"

#include <prometheus/exposer.h>

#include <exception>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace espalier::coordinator {

Result<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::start(
    const std::string& listen, std::vector<std::shared_ptr<prometheus::Collectable>> sources) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 ||
      port > 65535)
    return absl::InvalidArgumentError(absl::StrCat("metrics.listen: '", listen, "' is not HOST:PORT"));
  auto endpoint = std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint);
  endpoint->sources_ = std::move(sources);
  try {
    endpoint->exposer_ = std::make_unique<prometheus::Exposer>(listen);
    port = endpoint->exposer_->GetListeningPorts().front();
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("metrics.listen: cannot listen on ", listen, ": is the port in use?"));
  }
  for (const auto& source : endpoint->sources_) endpoint->exposer_->RegisterCollectable(source);
  endpoint->address_ = absl::StrCat(listen.substr(0, colon), ":", port);
  return endpoint;
}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace espalier::coordinator
