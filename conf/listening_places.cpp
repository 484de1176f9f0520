#include "conf/listening_places.hpp"

#include <algorithm>
#include <optional>

#include "conf/network.hpp"
#include "routing/ascii.hpp"

namespace conf {
namespace {

bool is_every_address(const ip_address& one) {
  return std::ranges::all_of(one.bytes, [](auto byte) { return byte == 0; });
}

// A name is not asked for: what it stands for may be another address tomorrow. Only localhost is what it always is.
std::optional<ip_address> address_of(std::string_view host) {
  return parse_ip(routing::same_setting(host, "localhost") ? "127.0.0.1" : host);
}

}  // namespace

bool exclude_each_other(std::string_view one, std::string_view other) {
  if (one.empty() || other.empty()) return false;
  if (one == "*" || other == "*" || routing::same_setting(one, other)) return true;
  const auto a = address_of(one);
  const auto b = address_of(other);
  if (!a || !b || a->kind != b->kind) return false;
  return *a == *b || is_every_address(*a) || is_every_address(*b);
}

}  // namespace conf
