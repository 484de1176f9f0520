// pglodge.yaml: what the service is told by whoever runs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/network.hpp"

namespace conf {

class yaml_value;

enum class listen_tls_mode : std::uint8_t { off, allow, require, verify };

/// A certificate, with those of its issuers behind it, and its key; PEM. Both absolute.
struct certificate_files {
  std::filesystem::path certificate, key;
  friend bool operator==(const certificate_files&, const certificate_files&) = default;
};

/// One door: TCP (`address` set) or Unix (`unix_folder` set).
struct listen_settings {
  std::string address;  ///< host or IP address without brackets, or *; empty for a Unix socket
  std::uint16_t port = 6432;
  std::filesystem::path unix_folder;
  listen_tls_mode tls = listen_tls_mode::off;
  /// The first is for whoever asks for no name, or for one that none of them has. Never empty unless `tls` is off.
  std::vector<certificate_files> tls_certificates;
  std::filesystem::path tls_client_ca;  ///< absolute; may be empty
  friend bool operator==(const listen_settings&, const listen_settings&) = default;
};

enum class auth_method : std::uint8_t { trust, password, md5, scram_sha_256, cert, passthrough, reject };
std::string_view to_string(auth_method method);

struct auth_query {
  std::string database, user, sql;
  friend bool operator==(const auth_query&, const auth_query&) = default;
};
struct auth_rule {
  enum class origin : std::uint8_t { anywhere, unix_socket, network };
  std::optional<bool> tls;
  origin from = origin::anywhere;
  conf::network network;               ///< with origin::network
  std::string database, role, tenant;  ///< empty: any
  auth_method method = auth_method::reject;
  friend bool operator==(const auth_rule&, const auth_rule&) = default;
};
struct auth_settings {
  auth_method method = auth_method::passthrough;  ///< scram-sha-256 if users or query are given and no method
  std::filesystem::path users;                    ///< absolute; may be empty
  std::optional<auth_query> query;
  std::vector<auth_rule> rules;
  friend bool operator==(const auth_settings&, const auth_settings&) = default;
};

struct admin_settings {
  std::vector<std::string> users, stats_users;
  std::string http;  ///< host:port; empty: none
  std::uint32_t metrics_tenants = 50;
  std::chrono::milliseconds stats_period{60'000};
  friend bool operator==(const admin_settings&, const admin_settings&) = default;
};

enum class log_format : std::uint8_t { text, json };
struct log_settings {
  std::string level = "info";  ///< trace, debug, info, warn, error
  log_format format = log_format::text;
  friend bool operator==(const log_settings&, const log_settings&) = default;
};

/// What the process may use. Nothing: no bound.
struct resource_settings {
  std::optional<std::uint32_t> clients;  ///< sessions of clients at a time; the console's are not counted
  std::optional<std::uint64_t> memory;   ///< bytes that are resident
  friend bool operator==(const resource_settings&, const resource_settings&) = default;
};

/// The ledger of what tenants used.
struct usage_settings {
  std::filesystem::path ledger;                ///< the folder, absolute; empty: no ledger
  std::chrono::milliseconds interval{60'000};  ///< from batch to batch of lines
  unsigned keep_days = 400;                    ///< the newest so many days' files stay; 0: all
  friend bool operator==(const usage_settings&, const usage_settings&) = default;
};

/// 0 means none where that makes sense (idle).
struct timeout_settings {
  using ms = std::chrono::milliseconds;
  ms startup{15'000};  ///< from the first byte to ReadyForQuery, held and waiting time excepted
  ms connect{5'000};   ///< one attempt at one host: connection and login
  ms idle{0};
  ms server_idle{600'000};
  ms server_lifetime{3'600'000};
  ms query_wait{30'000};
  ms query_wait_notify{5'000};  ///< 0: never
  ms drain{60'000};
  ms unready{0};        ///< from SIGTERM and /readyz saying no until the doors close
  ms upgrade{600'000};  ///< how long sessions of the process that was replaced go on before it drains; 0: for ever
  friend bool operator==(const timeout_settings&, const timeout_settings&) = default;
};

/// How event loops receive and send.
enum class io_method : std::uint8_t {
  automatic,  ///< by io_uring while there is much to do, where the kernel offers it; else by epoll
  epoll,
  io_uring,
};

std::string_view to_string(io_method method);

struct daemon_settings {
  std::vector<listen_settings> listen;
  std::filesystem::path routes;     ///< a file or a folder, made absolute against the file's own folder
  std::optional<unsigned> workers;  ///< nothing: as many as cores
  io_method io = io_method::automatic;
  auth_settings auth;
  admin_settings admin;
  std::vector<std::string> peers;  ///< host:port of other lodges: who may have the session of a cancel request
  log_settings log;
  resource_settings resources;
  usage_settings usage;
  timeout_settings timeouts;
};

/// From the root of a document to settings. What is wrong is told to the root's report; the result then holds what
/// could be read, and is good for nothing but finding more errors.
daemon_settings read_daemon_file(const yaml_value& root);

/// The keys at the top of the file whose settings differ, in the file's order.
std::vector<std::string_view> changed_keys(const daemon_settings& was, const daemon_settings& now);

}  // namespace conf
