#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <map>

#include "proxy/console/layouts.hpp"
#include "proxy/console/shows.hpp"

namespace proxy::console {
namespace {

constexpr std::size_t socket_columns = 7;  // that SHOW SOCKETS has beyond SHOW CLIENTS

std::string hex(std::uint64_t id) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(id));
  return text.data();
}

// A server connection, lent or idle, and who has it.
struct server_row {
  connection_facts facts;
  std::string server, state;
  pool_key key;
  std::string place, tenant, application_name, link;
  unsigned worker = 0;
  std::optional<clock::time_point> opened;
  bool close_needed = false;
};

std::string key_text(const std::string& server, connection_id id) { return server + " " + std::to_string(id); }

std::vector<server_row> servers_of(const client_list& clients, const pool_list& pools) {
  std::vector<server_row> rows;
  std::unordered_map<std::string, const client_facts*> lent;
  for (const client_facts& one : clients) {
    if (one.link) lent.emplace(key_text(one.server, one.link->id), &one);
  }
  for (const auto& pool : pools) {
    for (const auto& known : pool->connections()) {
      server_row& row = rows.emplace_back();
      row.facts.id = known.id;
      row.server = pool->server()->name;
      row.key = known.key;
      using status = ledger::status;
      row.state = known.is == status::idle ? "idle" : known.is == status::lent ? "active" : "new";
      row.place = known.place;
      row.close_needed = known.close_needed;
      if (known.is != status::connecting) row.opened = known.opened;
      if (known.at) {
        row.facts.address = known.at->server;
        row.facts.process_id = known.at->server_key.process_id();
      }
      if (known.is != status::lent) continue;
      row.tenant = known.tenant;
      const auto user = lent.find(key_text(row.server, known.id));
      if (user == lent.end()) continue;
      row.facts.address = user->second->link->address;
      row.facts.process_id = user->second->link->process_id;
      row.application_name = user->second->application_name;
      row.link = hex(user->second->id);
      row.worker = user->second->worker;
    }
  }
  return rows;
}

row client_row(const client_facts& one) {
  const auto [host, port] = parts_of(one.peer);
  const auto [local_host, local_port] = parts_of(one.local);
  using std::chrono::microseconds;
  const auto waits =
      one.waiting_since ? std::chrono::duration_cast<microseconds>(clock::now() - *one.waiting_since) : microseconds{0};
  const auto micro = std::max<std::int64_t>(waits.count(), 0);
  std::optional<std::string> link;
  if (one.link) link = hex(one.link->id);
  return {"C",
          one.user,
          one.database,
          one.replication,
          one.state,
          host,
          std::to_string(port),
          local_host,
          std::to_string(local_port),
          time_text(one.since),
          std::nullopt,
          std::to_string(micro / 1'000'000),
          std::to_string(micro % 1'000'000),
          "0",
          hex(one.id),
          link.value_or(""),
          one.link ? std::to_string(one.link->process_id) : "0",
          one.tls,
          one.application_name,
          "0",
          std::to_string(one.id),
          one.tenant,
          one.place,
          one.server,
          std::to_string(one.worker),
          one.pins};
}

row row_of(const server_row& one) {
  const auto [host, port] = parts_of(one.facts.address);
  return {"S",
          one.key.user,
          one.key.dbname,
          "none",
          one.state,
          host,
          std::to_string(port),
          "",
          "0",
          one.opened ? std::optional(time_text(*one.opened)) : std::nullopt,
          std::nullopt,
          "0",
          "0",
          one.close_needed ? "1" : "0",
          hex(one.facts.id),
          one.link,
          std::to_string(one.facts.process_id),
          "",
          one.application_name,
          "0",
          std::to_string(one.facts.id),
          one.tenant,
          one.place,
          one.server,
          std::to_string(one.worker),
          ""};
}

}  // namespace

std::pair<std::string, std::uint16_t> parts_of(const endpoint& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const sockaddr* any = address.data();
  if (any->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(any);
    ::inet_ntop(AF_INET, &in->sin_addr, text.data(), text.size());
    return {text.data(), ntohs(in->sin_port)};
  }
  if (any->sa_family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(any);
    ::inet_ntop(AF_INET6, &in->sin6_addr, text.data(), text.size());
    return {text.data(), ntohs(in->sin6_port)};
  }
  return {any->sa_family == AF_UNIX ? "unix" : "", 0};
}

table show_clients(const client_list& clients) {
  std::vector<row> rows;
  rows.reserve(clients.size());
  for (const client_facts& one : clients) rows.push_back(client_row(one));
  return table::of(columns_of(thing::clients), std::move(rows), key_of(thing::clients));
}

table show_servers(const client_list& clients, const pool_list& pools) {
  std::vector<row> rows;
  for (const server_row& one : servers_of(clients, pools)) rows.push_back(row_of(one));
  return table::of(columns_of(thing::servers), std::move(rows), key_of(thing::servers));
}

table show_sockets(const client_list& clients, const pool_list& pools) {
  std::vector<row> rows;
  for (const client_facts& one : clients) rows.push_back(client_row(one));
  for (const server_row& one : servers_of(clients, pools)) rows.push_back(row_of(one));
  const auto& heads = columns_of(thing::sockets);
  const auto at = std::ranges::find(heads, "recv_pos", &column::name) - heads.begin();
  for (row& one : rows) one.insert(one.begin() + at, socket_columns, "0");
  return table::of(heads, std::move(rows), key_of(thing::sockets));
}

table show_pins(const client_list& clients) {
  std::vector<row> rows;
  for (const client_facts& one : clients) {
    if (one.pins.empty()) continue;
    rows.push_back({std::to_string(one.id), one.tenant, one.user, one.place, one.pins,
                    std::to_string(one.link ? one.link->process_id : 0)});
  }
  return table::of(columns_of(thing::pins), std::move(rows), key_of(thing::pins));
}

table show_users(const snapshot& now, const client_list& clients, const pool_list& pools) {
  struct sums {
    std::size_t clients = 0, servers = 0;
  };
  std::map<std::string, sums> users;
  for (const client_facts& one : clients) ++users[one.user].clients;
  for (const server_row& one : servers_of(clients, pools)) ++users[one.key.user].servers;
  const auto& limited = now.routes->parts().roles;
  for (const auto& [name, limits] : limited) users.try_emplace(name);
  const auto most_clients = [&](const std::string& name) {
    const auto found = limited.find(name);
    return std::to_string(found == limited.end() ? 0 : found->second->limits.clients.value_or(0));
  };
  std::vector<row> rows;
  rows.reserve(users.size());
  for (const auto& [name, sum] : users) {
    rows.push_back({name, std::nullopt, std::nullopt, std::nullopt, "0", std::to_string(sum.servers),
                    most_clients(name), std::to_string(sum.clients)});
  }
  return table::of(columns_of(thing::users), std::move(rows), key_of(thing::users));
}

}  // namespace proxy::console
