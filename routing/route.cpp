#include "routing/route.hpp"

#include <array>
#include <string_view>

namespace routing {

std::string to_string(const host& where) {
  const std::string port = ":" + std::to_string(where.port);
  return where.address.find(':') == std::string::npos ? where.address + port : "[" + where.address + "]" + port;
}

std::string_view to_string(tenant_state state) {
  constexpr std::array<std::string_view, 4> names{"active", "read_only", "held", "suspended"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view to_string(pool_mode mode) { return mode == pool_mode::session ? "session" : "transaction"; }

bool place_changed(const route& was, const route& now) {
  const auto reached_by = [](const server& one) {
    return std::tie(one.name, one.hosts, one.tls, one.tls_ca, one.tls_certificate, one.tls_key, one.user);
  };
  const auto place_of = [](const route& one) { return std::tie(one.dbname, one.search_path, one.role, one.settings); };
  return reached_by(*was.server) != reached_by(*now.server) || place_of(was) != place_of(now);
}

}  // namespace routing
