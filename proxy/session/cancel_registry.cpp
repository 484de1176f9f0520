#include "proxy/session/cancel_registry.hpp"

#include <array>
#include <span>
#include <utility>

#include "protocol/byte_reader.hpp"
#include "proxy/random.hpp"

namespace proxy {

cancel_registry::request::~request() {
  if (!slot_) return;
  const std::scoped_lock lock(slot_->mutex);
  --slot_->under_way;
  if (doubtful_) slot_->doubtful.push_back(target_);
}

cancel_registry::handle::handle(handle&& other) noexcept
    : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_), slot_(std::move(other.slot_)) {}

cancel_registry::handle& cancel_registry::handle::operator=(handle&& other) noexcept {
  std::swap(registry_, other.registry_);
  std::swap(id_, other.id_);
  std::swap(slot_, other.slot_);
  return *this;
}

cancel_registry::handle::~handle() {
  if (registry_ != nullptr) registry_->remove(id_);
}

bool cancel_registry::handle::aim(std::shared_ptr<const cancel_target> target) {
  const std::scoped_lock lock(slot_->mutex);
  slot_->target.swap(target);
  return slot_->under_way > 0 || !slot_->doubtful.empty();
}

void cancel_registry::handle::set_waiting(bool waiting) {
  const std::scoped_lock lock(slot_->mutex);
  slot_->waiting = waiting;
}

bool cancel_registry::handle::busy() const {
  if (!slot_) return false;
  const std::scoped_lock lock(slot_->mutex);
  return slot_->under_way > 0;
}

bool cancel_registry::request::is_only() const {
  const std::scoped_lock lock(slot_->mutex);
  return slot_->under_way == 1;
}

bool cancel_registry::handle::take_doubt(const std::shared_ptr<const cancel_target>& at) {
  const std::scoped_lock lock(slot_->mutex);
  return std::erase(slot_->doubtful, at) > 0;
}

std::optional<cancel_registry::request> cancel_registry::handle::own_request() const {
  if (!slot_) return std::nullopt;
  const std::scoped_lock lock(slot_->mutex);
  if (!slot_->target) return std::nullopt;
  slot_->requested = true;
  ++slot_->under_way;
  return request(slot_, slot_->target);
}

cancel_registry::handle cancel_registry::add(const pgwire::cancel_key& client_key,
                                             std::shared_ptr<const cancel_target> target) {
  auto aimed = std::make_shared<slot>();
  aimed->target = std::move(target);
  const std::scoped_lock lock(mutex_);
  const std::uint64_t id = next_id_++;
  by_process_id_.emplace(client_key.process_id(), id);
  entries_.emplace(id, entry{client_key.process_id(), std::string(pgwire::as_text(client_key.secret())), aimed});
  return {*this, id, std::move(aimed)};
}

std::optional<cancel_registry::request> cancel_registry::find(const pgwire::cancel_key& presented) const {
  std::shared_ptr<slot> found;
  {
    const std::scoped_lock lock(mutex_);
    // Every candidate is compared to the end, so that the time taken says nothing about which one matched.
    const auto [first, last] = by_process_id_.equal_range(presented.process_id());
    for (auto it = first; it != last; ++it) {
      const entry& candidate = entries_.at(it->second);
      const pgwire::cancel_key own(candidate.process_id, pgwire::as_bytes(candidate.secret));
      if (own == presented) found = candidate.aimed;
    }
  }
  if (!found) return std::nullopt;
  const std::scoped_lock lock(found->mutex);
  if (found->waiting || found->target) found->requested = true;
  if (!found->target) return std::nullopt;
  ++found->under_way;
  return request(found, found->target);
}

std::size_t cancel_registry::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

void cancel_registry::remove(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  const auto gone = entries_.find(id);
  const auto [first, last] = by_process_id_.equal_range(gone->second.process_id);
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
