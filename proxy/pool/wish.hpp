// What goes into the ledger of a server and what comes out: a client's wish for a connection, and its granting.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace proxy {

using connection_id = std::uint64_t;  ///< given by the ledger, never reused; never 0
using waiter_id = std::uint64_t;      ///< given by who asks

/// How long a tenant may have a connection again and again while others wait that have some, too, and a session one for
/// transactions that it sends ahead. To dress a connection costs the server about as much as a small statement. With 8
/// tenants on 16 connections a fifth of the leases needed it at 10 ms, a seventh does now, and longer turns save
/// nothing more.
inline constexpr std::chrono::milliseconds longest_turn{30};

/// Connections with equal keys are interchangeable once dressed: the same database, logged in as the same role. Those
/// of session pooling are not dressed, but reset: they began alike, too.
struct pool_key {
  std::string dbname;
  std::string user;
  std::string start;   ///< session pooling: the tenant and the startup packet; else empty
  std::string tenant;  ///< where connections are not lent from one tenant to another; else empty
  auto operator<=>(const pool_key&) const = default;
};
struct pool_key_hash {
  std::size_t operator()(const pool_key& key) const noexcept {
    const std::hash<std::string> hash;
    const auto rotated = [](std::size_t bits, int by) { return bits << by | bits >> (64 - by); };
    return hash(key.dbname) ^ rotated(hash(key.user), 1) ^ rotated(hash(key.start), 2) ^ rotated(hash(key.tenant), 3);
  }
};

/// What a client asks for. The limits in it are its tenant's and its place's, not its own: the latest wish that names
/// the tenant or the place says what they are.
struct connection_wish {
  waiter_id who = 0;  ///< of nobody who waits
  pool_key key;
  std::string place;                                ///< the database entry of the routing table
  std::optional<std::uint32_t> place_size;          ///< its connections at a time; nothing: no limit of its own
  std::string tenant;                               ///< empty: sessions without one, which are a tenant together
  std::optional<std::uint32_t> tenant_connections;  ///< lent to it at a time; nothing: no limit of its own
  std::uint32_t tenant_minimum = 0;                 ///< which others leave free for it
  std::uint32_t weight = 1;                         ///< 0 counts as 1
  bool fresh = false;                               ///< a connection that nobody had before
  bool own = false;                                 ///< likewise, and for the client alone: it is never given back
  std::uint64_t state = 0;                          ///< fingerprint of the session state to wear
  unsigned worker = 0;                              ///< where the client lives
  connection_id only = 0;  ///< if it is idle, and has the key, nothing else will do; otherwise, and if 0, no matter
  std::chrono::steady_clock::time_point since;  ///< when it began to wait

  [[nodiscard]] bool takes_no_idle() const { return own || fresh; }
};

/// What keeps a wish from being granted.
enum class bound : std::uint8_t {
  none,
  tenant,   ///< its tenant has all that it may have
  place,    ///< so has its place
  server,   ///< all that may be open are lent
  minimum,  ///< what is free is left for tenants who have less than their minimum
};

/// What to do for one who asked. The connection counts as lent to it from now on.
struct grant {
  enum class kind : std::uint8_t {
    use,      ///< an idle connection
    open,     ///< a new one
    replace,  ///< close the victim first, then open a new one
  };
  kind how = kind::use;
  waiter_id who = 0;
  connection_id connection = 0;
  connection_id victim = 0;  ///< of `replace`: the ledger has forgotten it already
  friend bool operator==(const grant&, const grant&) = default;
};

}  // namespace proxy
