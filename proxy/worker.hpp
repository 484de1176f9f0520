// A worker is a thread and the place its sessions live: one event loop, one scratch buffer, the sessions that were
// handed to it, and the configuration it currently works by.
//
// Nothing of a worker is shared: other threads only post to it. Deadlines are stamps in the sessions, swept here a
// few times a second, because arming a timer for each operation costs more than the operation. Sessions at rest are
// left alone; see lookout.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "proxy/auth/auth_source.hpp"
#include "proxy/auth/auth_throttle.hpp"
#include "proxy/auth/slow_work.hpp"
#include "proxy/counted.hpp"
#include "proxy/desk/duration_histogram.hpp"
#include "proxy/desk/refused_sessions.hpp"
#include "proxy/desk/shared_account.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/io.hpp"
#include "proxy/lookout.hpp"
#include "proxy/name_lookup.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/server_memory.hpp"
#include "proxy/session/byte_run.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/neighbour_lodges.hpp"
#include "proxy/session/pooled_place.hpp"
#include "proxy/session/pooled_traffic.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/visitor.hpp"

namespace proxy {

class client_session;
class memory_watch;
namespace console {
class house;
struct client_facts;
struct kill_target;
}  // namespace console

/// How the lodge closes: what every session is told.
enum class closing {
  succeeded,  ///< those of the console end when they are next idle; the others go on
  drain,      ///< sessions end when they are next idle
  now,        ///< sessions end at once
};

/// What all workers use together. Each member is safe from any thread; it outlives the workers.
struct shared_state {
  desk::session_times times;
  cancel_registry cancels;
  neighbour_lodges neighbours;
  name_lookup names;
  server_memory servers;
  server_pools pools;
  auth_tools auth;
  auth_throttle throttle;
  desk::tenant_accounts accounts;
  desk::shared_accounts shared_accounts;  ///< of roles and databases that have limits
  desk::refused_sessions refused;
  slow_work computing{2};
  counter clients;                  ///< sessions, the console's excepted
  memory_watch* memory = nullptr;   ///< there before the workers start
  console::house* house = nullptr;  ///< what the console asks; likewise
  std::atomic<std::uint64_t> next_session_id{1};
  std::atomic<std::uint64_t> schema_generation{0};

  /// When the workers' threads have ended, before they are destroyed: what other threads do for their sessions ends.
  void close() {
    names.close();
    computing.close();
    auth.close();
    throttle.close();
    pools.close();
  }
};

class worker {
 public:
  /// `number` tells it from its neighbours.
  worker(unsigned number, shared_state& shared, snapshot_ptr first);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  // --- from any thread ---

  /// Starts the thread. Why its loop does without io_uring, though the settings ask for it: for people. Throws what
  /// kept it from running.
  std::optional<std::string> start();
  /// Hands over a connected client; its session runs here. Counted in `load` from now on.
  void take(visitor who);
  /// Replaces the configuration; running sessions are told in slices, so that none of them waits for long.
  void publish(snapshot_ptr next);
  void close_sessions(closing how);
  /// Looks at all sessions, in slices. `to` is called on this worker's thread.
  void survey(std::function<void(std::vector<console::client_facts>)> to);
  /// Ends those that are meant, and says how many they are; likewise.
  void kill(console::kill_target whom, std::function<void(std::size_t)> to);
  struct holder {
    std::uint64_t id = 0;  ///< 0: nobody
    std::size_t bytes = 0;
  };
  /// Gives whoever holds most memory; likewise.
  void find_largest(std::function<void(holder)> to);
  /// Ends that session, if it is still there, because memory is short.
  void end_for_memory(std::uint64_t id);
  /// Ends the loop, whatever is running, and joins the thread.
  void stop();
  /// When its loop last looked at its sessions' deadlines, which it does all the time.
  [[nodiscard]] clock::time_point last_sweep() const { return clock::time_point(last_sweep_.load()); }
  /// Sessions that live here or are on their way.
  [[nodiscard]] std::size_t load() const { return load_.value(); }

  // --- from this worker's thread only ---

  [[nodiscard]] asio::io_context& context() { return context_; }
  /// 64 KiB to read into. Its contents never survive a co_await.
  [[nodiscard]] std::span<std::byte> scratch() { return scratch_; }
  [[nodiscard]] const snapshot_ptr& current() const { return current_; }
  [[nodiscard]] shared_state& shared() { return shared_; }
  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] statement_tools& statements() { return statements_; }
  [[nodiscard]] pooled_places& places() { return places_; }
  /// Bytes on their way to a server and to a client, for whoever runs now. Their contents never survive a co_await.
  struct run_pair {
    byte_run to_server;
    byte_run to_client;
  };
  [[nodiscard]] run_pair& runs() { return runs_; }

  void enter(client_session& session);
  void leave(client_session& session);
  /// Something happens to it, or is about to: it is looked at again.
  void rouse(lookout::resident& session) { lookout_.rouse(session); }

 private:
  void admit(visitor who, counted place);
  task<void> sweep();
  task<void> look_at_all(clock::time_point now);
  void retire_connections(clock::time_point now);
  /// Something to be done for each session that is there now, in slices, so that none of the others waits for long.
  struct round {
    std::vector<std::uint64_t> ids;
    std::function<void(client_session&)> each;
    std::function<void()> done;  ///< may be empty
  };
  void begin_round(std::function<void(client_session&)> each, std::function<void()> done);
  void go_on(std::shared_ptr<round> what, std::size_t from);

  static constexpr std::size_t scratch_size = std::size_t{64} * 1024;

  const unsigned number_;
  shared_state& shared_;
  statement_tools statements_;
  pooled_places places_;
  run_pair runs_;
  counter load_;
  std::atomic<clock::duration> last_sweep_ = clock::now().time_since_epoch();
  std::vector<std::byte> scratch_;
  snapshot_ptr current_;
  std::unordered_map<std::uint64_t, client_session*> sessions_;
  lookout lookout_;  ///< the same
  // Sessions that still run when the loop is destroyed end with it, and leave the members above.
  asio::io_context context_{1};
  asio::executor_work_guard<executor> work_{context_.get_executor()};
  timer sweeper_{context_};
  std::thread thread_;
};

}  // namespace proxy
