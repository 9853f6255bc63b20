#pragma once

#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "coordinator/config.h"
#include "coordinator/tenants/local_keys.h"
#include "rpc/channel.h"

namespace espalier::coordinator {

// A channel to the coordinator of `config` with one of the keys of its data folder (kOperatorKeyFile, kWorkerKeyFile).
inline std::shared_ptr<grpc::Channel> local_channel(const CoordinatorConfig& config, const std::string& address,
                                                    const char* key_file = kOperatorKeyFile) {
  ChannelSecurity security;
  const auto key = read_key_file(key_folder(config.data_dir) / key_file);
  EXPECT_TRUE(key.ok()) << key.status();
  if (key.ok()) security.key = *key;
  const auto channel = open_channel(address, security);
  EXPECT_TRUE(channel.ok()) << channel.status();
  return channel.ok() ? *channel : nullptr;
}

}  // namespace espalier::coordinator
