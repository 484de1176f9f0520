#include "proxy/desk/shared_account.hpp"

namespace proxy::desk {
namespace {

bool has_limits(const routing::table_parts& table, routing::sharer kind, const std::string& name) {
  if (kind == routing::sharer::role) return table.roles.contains(name);
  const auto found = table.databases.find(name);
  return found != table.databases.end() && found->second->limits;
}

}  // namespace

std::optional<shared_account::visit> shared_account::enter(std::optional<std::uint32_t> most) {
  auto there = clients_.load(std::memory_order_relaxed);
  do {
    if (most && there >= *most) return std::nullopt;
  } while (!clients_.compare_exchange_weak(there, there + 1, std::memory_order_relaxed));
  return visit(shared_from_this());
}

std::shared_ptr<shared_account> shared_accounts::of(const routing::shared_limits& whose) {
  const std::scoped_lock lock(mutex_);
  auto& account = open_[{whose.of, whose.name}];
  if (!account) account = std::make_shared<shared_account>();
  return account;
}

void shared_accounts::keep_only(const routing::table_parts& table) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(open_, [&](const auto& one) { return !has_limits(table, one.first.first, one.first.second); });
}

std::size_t shared_accounts::size() const {
  const std::scoped_lock lock(mutex_);
  return open_.size();
}

}  // namespace proxy::desk
