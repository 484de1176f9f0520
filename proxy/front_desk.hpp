// What the lodge tells over HTTP of itself: /metrics, /healthz, /readyz, /tenants/ID.
//
// Everything here runs on the HTTP server's thread. It reads what is safe to read from any thread (accounts, counters,
// the pools under their own short locks) and is told the rest by posts, as the workers are. However often it is asked,
// it looks at all tenants once a second at most.
//
// It asks nobody who they are: who may reach the address is for the network to say. No secret is told.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/desk/http_server.hpp"
#include "proxy/desk/metrics_text.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/tenant_ranking.hpp"
#include "proxy/io.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/worker.hpp"

namespace proxy {

class front_desk {
 public:
  /// What it may look at of the workers and the main loop; called on the desk's thread.
  struct sight {
    std::function<std::vector<std::size_t>()> sessions;  ///< of each worker
    std::function<clock::time_point()> all_have_moved;   ///< when every event loop had last turned
  };
  /// An event loop that has not turned for so long stands still.
  static constexpr std::chrono::seconds longest_standstill{10};

  /// Listens at `where`, host:port, but answers nobody before `start`. `shared` outlives it. Error: for the log.
  static std::expected<std::unique_ptr<front_desk>, std::string> open(const std::string& where,
                                                                      inherited_sockets& inherited,
                                                                      shared_state& shared, snapshot_ptr first,
                                                                      sight of_loops);
  void start() { server_->start(); }
  void stop() { server_->stop(); }
  [[nodiscard]] std::string name() const { return server_->name(); }
  /// The listening sockets, to be passed on; they stay the desk's.
  [[nodiscard]] std::vector<int> descriptors() const { return server_->descriptors(); }

  // --- from any thread: what it is told ---

  void publish(snapshot_ptr next);
  /// A reload has been judged; with errors, what was in force stays.
  void reloaded(const std::vector<std::string>& errors);
  /// The lodge takes no new sessions any more.
  void leaving();

 private:
  front_desk(shared_state& shared, snapshot_ptr first, sight of_loops);

  desk::http_answer answer(std::string_view path);
  desk::http_answer metrics();
  [[nodiscard]] desk::http_answer healthy() const;
  [[nodiscard]] desk::http_answer ready() const;
  [[nodiscard]] desk::http_answer tenant(std::string_view encoded) const;
  desk::lodge_reading read();
  [[nodiscard]] std::vector<desk::server_reading> read_servers() const;
  void read_tenants(desk::lodge_reading& into);

  shared_state& shared_;
  snapshot_ptr current_;
  sight sight_;
  desk::reload_state reload_;
  bool leaving_ = false;
  std::vector<std::shared_ptr<desk::tenant_account>> accounts_;
  std::vector<desk::tenant_usage> usage_;  ///< of each, kept because new memory for all of them is dear
  desk::tenant_ranking ranking_;
  desk::http_answer last_metrics_;
  clock::time_point last_read_;
  // Its thread uses everything above.
  std::unique_ptr<desk::http_server> server_;
};

}  // namespace proxy
