// Cancel requests between lodges: who else may have the session that a key belongs to.
//
// A cancel request comes by a new connection, and that may end at another lodge than its session did: behind a
// balancer, or after an upgrade, when older sessions go on in an older process. A key that no session here has is
// therefore shown to every neighbour: the lodges that `peers` names, and older processes on this machine. A mark behind
// the secret says that the request has been passed on once, and is not to be passed on again.
//
// Anybody may send keys that nobody has. What that costs has a bound: so many are passed on at a time, and others are
// forgotten, as the protocol allows.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "protocol/cancel_key.hpp"
#include "proxy/io.hpp"

namespace proxy {

class worker;

/// The key with the mark; nothing if the secret leaves no room for it.
std::optional<pgwire::cancel_key> marked_as_passed_on(const pgwire::cancel_key& key);
/// The key as the client sent it, of one that has the mark; nothing without.
std::optional<pgwire::cancel_key> without_mark(const pgwire::cancel_key& key);

/// Safe from any thread, but for what is said.
class neighbour_lodges {
 public:
  /// Keys that are passed on at one time.
  static constexpr unsigned most_at_once = 64;

  /// Older processes here, by the abstract sockets where they take cancel requests. Before the workers start.
  void set_older(std::vector<std::string> cancel_doors) { older_ = std::move(cancel_doors); }
  [[nodiscard]] const std::vector<std::string>& older() const { return older_; }

  /// Shows the key to all at once, and comes back when each has said that it is done with it (by closing), or is not
  /// there, or ten seconds have passed. `settings` must outlive the call.
  task<void> pass_on(worker& home, const conf::daemon_settings& settings, const pgwire::cancel_key& key);

 private:
  std::vector<std::string> older_;
  std::atomic<unsigned> under_way_ = 0;
};

}  // namespace proxy
