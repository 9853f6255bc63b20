#include "tests/infer_server/service_fixture.h"

#include <grpcpp/channel.h>

#include "rpc/channel.h"

namespace espalier::infer {

void ServiceFixture::start(const InferenceServiceOptions& options, Engine* engine) {
  stop();
  service_ = std::make_unique<InferenceService>(engine, options);
  ServerOptions server_options;
  server_options.max_receive_bytes = kMaxRequestBytes;
  auto server = RpcServer::start(server_options, {service_.get()});
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

void ServiceFixture::stop() {
  server_.reset();
  service_.reset();
}

std::unique_ptr<v1::InferenceService::Stub> ServiceFixture::caller(const std::string& key_id) const {
  if (key_id.empty()) return v1::InferenceService::NewStub(make_channel(server_->address()));
  ChannelSecurity security;
  security.key = Credentials{key_id, "x"};
  return v1::InferenceService::NewStub(*open_channel(server_->address(), security));
}

}  // namespace espalier::infer
