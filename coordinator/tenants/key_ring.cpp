#include "coordinator/tenants/key_ring.h"

#include "common/log.h"
#include "common/secrets.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr int64_t kFreshUs = 2'000'000;
constexpr int64_t kLastUseStepUs = 60'000'000;
constexpr size_t kMostRemembered = 100'000;
// Compared with when there is no such key, so that it takes the same work.
constexpr const char* kNoDigest = "0000000000000000000000000000000000000000000000000000000000000000";

Status refused(const char* reason, const char* message) {
  return with_reason(absl::UnauthenticatedError(message), reason);
}

Status check_lasts(const KeyRecord& key, int64_t now_us) {
  if (key.revoke_us != 0) return refused("KEY_REVOKED", "the key has been revoked");
  if (key.expire_us != 0 && key.expire_us <= now_us) return refused("KEY_EXPIRED", "the key has expired");
  return absl::OkStatus();
}

}  // namespace

Result<KeyRing::Holder> KeyRing::verify(const Credentials& credentials) {
  ESP_ASSIGN(const Memory memory, look_up(credentials.key_id));
  const std::string digest = pepper_.digest(credentials);
  const bool equal = equal_in_constant_time(digest, memory.holder ? memory.holder->key.digest : kNoDigest);
  if (!memory.holder || !equal) return refused("KEY_INVALID", "the key is not one of this installation");
  ESP_TRY(check_lasts(memory.holder->key, clock_.now_us()));
  return *memory.holder;
}

Result<KeyRing::Holder> KeyRing::still_valid(const std::string& key_id) {
  ESP_ASSIGN(const Memory memory, look_up(key_id));
  if (!memory.holder) return refused("KEY_INVALID", "the key is not one of this installation");
  ESP_TRY(check_lasts(memory.holder->key, clock_.now_us()));
  return *memory.holder;
}

bool KeyRing::remembers(const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  const auto found = memory_.find(key_id);
  return found != memory_.end() && clock_.now_us() - found->second.read_us < kFreshUs;
}

void KeyRing::forget() {
  const std::lock_guard lock(mutex_);
  memory_.clear();
  ++generation_;
}

Result<KeyRing::Memory> KeyRing::look_up(const std::string& key_id) {
  const int64_t now_us = clock_.now_us();
  uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = memory_.find(key_id);
    if (found != memory_.end() && now_us - found->second.read_us < kFreshUs) return found->second;
    generation = generation_;
  }
  ESP_ASSIGN(Memory memory, read(key_id, now_us));
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return memory;  // read before something changed: used once, not remembered
  if (memory_.size() >= kMostRemembered) memory_.clear();
  memory_[key_id] = memory;
  return memory;
}

Result<KeyRing::Memory> KeyRing::read(const std::string& key_id, int64_t now_us) {
  return database_.read([&](soci::session& sql) -> Result<Memory> {
    KeyRepository keys(sql);
    auto key = keys.find(key_id);
    if (absl::IsNotFound(key.status())) return Memory{std::nullopt, now_us};
    ESP_TRY(key.status());
    ESP_ASSIGN(TenantRecord tenant, TenantRepository(sql).find(key->tenant_id));
    return Memory{Holder{*std::move(key), std::move(tenant)}, now_us};
  });
}

void KeyRing::note_use(const KeyRecord& key) {
  const int64_t now_us = clock_.now_us();
  if (now_us - key.last_use_us < kLastUseStepUs) return;
  {
    const std::lock_guard lock(mutex_);
    const auto found = memory_.find(key.id);
    if (found == memory_.end() || !found->second.holder) return;
    if (now_us - found->second.holder->key.last_use_us < kLastUseStepUs) return;
    found->second.holder->key.last_use_us = now_us;  // before the write: others need not do it too
  }
  const Status noted = database_.transaction([&](soci::session& sql) -> Status {
    KeyRepository(sql).note_use(key.id, now_us);
    return absl::OkStatus();
  });
  if (!noted.ok()) log_warning("use of a key not noted", {{"key", key.id}, {"error", noted.ToString()}});
}

}  // namespace espalier::coordinator
