#include "proxy/session/cancel_registry.hpp"

#include <array>
#include <span>
#include <utility>

#include "proxy/random.hpp"

namespace proxy {

cancel_registry::handle::handle(handle&& other) noexcept
    : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}

cancel_registry::handle& cancel_registry::handle::operator=(handle&& other) noexcept {
  std::swap(registry_, other.registry_);
  std::swap(id_, other.id_);
  return *this;
}

cancel_registry::handle::~handle() {
  if (registry_ != nullptr) registry_->remove(id_);
}

cancel_registry::handle cancel_registry::add(const pgwire::cancel_key& client_key, cancel_target target) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t id = next_id_++;
  by_process_id_.emplace(client_key.process_id(), id);
  entries_.emplace(id, entry{client_key, std::move(target)});
  return {*this, id};
}

std::optional<cancel_target> cancel_registry::find(const pgwire::cancel_key& presented) const {
  const std::scoped_lock lock(mutex_);
  std::optional<cancel_target> found;
  // Every candidate is compared to the end, so that the time taken says nothing about which one matched.
  const auto [first, last] = by_process_id_.equal_range(presented.process_id());
  for (auto it = first; it != last; ++it) {
    const entry& candidate = entries_.at(it->second);
    if (candidate.client_key == presented) found = candidate.target;
  }
  return found;
}

std::size_t cancel_registry::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

void cancel_registry::remove(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  const auto gone = entries_.find(id);
  const auto [first, last] = by_process_id_.equal_range(gone->second.client_key.process_id());
  for (auto it = first; it != last; ++it) {
    if (it->second == id) {
      by_process_id_.erase(it);
      break;
    }
  }
  entries_.erase(gone);
}

pgwire::cancel_key make_cancel_key(std::int32_t process_id, std::size_t secret_bytes) {
  std::array<std::byte, 32> secret{};
  const auto wanted = std::span(secret).first(secret_bytes);
  fill_random(wanted);
  return {process_id, wanted};
}

}  // namespace proxy
