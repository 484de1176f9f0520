// Keeps the usage ledger while the daemon runs: at each interval's end it asks for the totals and has them written.
//
// On a thread of its own, for a sync lasts as long as the disk likes, and neither sessions nor the doors may wait for
// it. Trouble is logged when it begins and when it is over, and never stops the daemon: the ledger catches up.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "conf/daemon_file.hpp"
#include "proxy/desk/usage_ledger.hpp"

namespace proxy::desk {

class usage_keeper {
 public:
  /// Called on the keeper's thread, at each interval's end and once more in stop(). See usage_totals for what it gives.
  using source = std::function<usage_totals()>;

  /// Starts the thread. `settings.ledger` must not be empty.
  usage_keeper(const conf::usage_settings& settings, source totals);
  ~usage_keeper() { stop(); }
  usage_keeper(const usage_keeper&) = delete;
  usage_keeper& operator=(const usage_keeper&) = delete;

  /// Writes the last, shorter interval and ends the thread. Call it when nothing is counted any more; what the source
  /// refers to must still be there.
  void stop();

 private:
  void run();
  void note(const usage_ledger::result& outcome);
  usage_ledger::result write();

  const std::chrono::milliseconds interval_;
  source totals_;
  usage_ledger ledger_;
  bool failing_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  ///< under the mutex
  std::thread thread_;
};

}  // namespace proxy::desk
