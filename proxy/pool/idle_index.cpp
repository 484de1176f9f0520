#include "proxy/pool/idle_index.hpp"

#include <bit>

namespace proxy {
namespace {

constexpr std::size_t first_buckets = 64;

// The finalizer of a multiplicative hash: every bit of the input reaches the low ones.
constexpr std::uint64_t mix(std::uint64_t value) {
  value *= 0x9e37'79b9'7f4a'7c15;
  return value ^ (value >> 32);
}

}  // namespace

idle_index::idle_index() : buckets_(std::make_unique<ring<pooled>[]>(first_buckets)), mask_(first_buckets - 1) {}

void idle_index::enter(pooled& one) {
  by_age_.push_back(one.by_age);
  one.place->idle.push_back(one.by_place);
  one.pool->idle.push_back(one.by_pool);
  ++size_;
  if (size_ * std::tuple_size_v<decltype(one.by_hash)> > mask_) {
    grow();
  } else {
    hang(one);
  }
}

void idle_index::leave(pooled& one) {
  one.by_age.leave();
  one.by_place.leave();
  one.by_pool.leave();
  for (auto& link : one.by_hash) link.leave();
  --size_;
}

pooled* idle_index::choose(const demand& wanted) const {
  if (wanted.pool->idle.empty()) return nullptr;
  const auto suits = [&wanted](question asked) {
    return [&wanted, asked](const pooled& one) { return answers(asked, wanted, one); };
  };
  for (const question asked : {state_and_worker, state}) {
    if (pooled* found = bucket(asked, wanted).last_where(suits(asked))) return found;
  }
  for (const question asked : {tenant_and_worker, tenant, worker}) {
    if (pooled* found = bucket(asked, wanted).first_where(suits(asked))) return found;
  }
  return wanted.pool->idle.first_where(
      [&wanted](const pooled& one) { return wanted.only_of == nullptr || one.place == wanted.only_of; });
}

std::uint64_t idle_index::hash(question asked, const demand& wanted) {
  std::uint64_t value = mix(std::bit_cast<std::uintptr_t>(wanted.pool) + asked);
  if (asked == state_and_worker || asked == state) value = mix(value ^ wanted.state);
  if (asked == tenant_and_worker || asked == tenant) value = mix(value ^ std::bit_cast<std::uintptr_t>(wanted.tenant));
  if (asked != state && asked != tenant) value = mix(value + wanted.worker);
  return value;
}

bool idle_index::answers(question asked, const demand& wanted, const pooled& one) {
  if (one.pool != wanted.pool) return false;
  if (wanted.only_of != nullptr && one.place != wanted.only_of) return false;
  switch (asked) {
    case state_and_worker: return one.state == wanted.state && one.worker == wanted.worker;
    case state: return one.state == wanted.state;
    case tenant_and_worker: return one.tenant == wanted.tenant && one.worker == wanted.worker;
    case tenant: return one.tenant == wanted.tenant;
    case worker: return one.worker == wanted.worker;
  }
  return false;
}

ring<pooled>& idle_index::bucket(question asked, const demand& wanted) const {
  return buckets_[hash(asked, wanted) & mask_];
}

void idle_index::hang(pooled& one) {
  const demand itself{.pool = one.pool, .tenant = one.tenant, .state = one.state, .worker = one.worker};
  for (const question asked : {state_and_worker, state, tenant_and_worker, tenant, worker}) {
    bucket(asked, itself).push_back(one.by_hash[asked]);
  }
}

// Hangs all anew, in their order of use, into four times as many buckets.
void idle_index::grow() {
  const std::size_t count = (mask_ + 1) * 4;
  buckets_ = std::make_unique<ring<pooled>[]>(count);
  mask_ = count - 1;
  for (pooled& one : by_age_) hang(one);
}

}  // namespace proxy
