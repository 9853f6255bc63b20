#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace espalier::coordinator {

// GET /metrics in Prometheus' text format over HTTP, without encryption or keys: listen where only the monitoring
// reaches it. Serves until it is destroyed.
class MetricsEndpoint {
 public:
  // `sources` are asked at each scrape. INVALID_ARGUMENT: not HOST:PORT. UNAVAILABLE: the port is taken.
  static Result<std::unique_ptr<MetricsEndpoint>> start(const std::string& listen,
                                                        std::vector<std::shared_ptr<prometheus::Collectable>> sources);
  ~MetricsEndpoint();

  const std::string& address() const { return address_; }  // HOST:PORT with the real port

 private:
  MetricsEndpoint() = default;
  std::vector<std::shared_ptr<prometheus::Collectable>> sources_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace espalier::coordinator
