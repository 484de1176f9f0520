// Turns "the files may have changed" into a new snapshot, away from the event loops, all or nothing.
//
// Reading and checking a table of 100,000 tenants takes a second or two, and so does comparing it with the old one:
// both happen on a thread of their own. A load with any error changes nothing and is logged error by error. One that
// failed because of the moment, for want of a descriptor or by the disk, is repeated until it is read or its files are
// found at fault: nobody will save them again only because of that. Old
// snapshots are kept here until nobody else has them, so that their destruction happens on that thread as well.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/watcher.hpp"

namespace proxy {

class reloader {
 public:
  using publisher = std::function<void(const snapshot_ptr&)>;

  /// `publish` is called with each good new snapshot, on `main`'s thread. `tools` must outlive every snapshot.
  reloader(asio::io_context& main, auth_tools& tools, std::filesystem::path file, publisher publish);

  /// The first load, in the calling thread. Null if there was any error; all of them were logged.
  snapshot_ptr load_first(routing::overrides_ptr overrides);
  /// Starts to watch what `load_first` read.
  void start_watching();
  /// Loads again soon. Requests that come while a load runs are answered by one more load. Main thread only.
  void request(std::string reason);
  /// The same; `then` is called on the main thread when that load has been judged, unless this closes before.
  struct verdict {
    std::chrono::system_clock::time_point read_at;
    std::string reason;
    std::vector<std::string> errors;   ///< empty: it is in force
    std::vector<std::string> changes;  ///< in words
    std::uint64_t version = 0;         ///< in force now
  };
  using judged = std::function<void(const verdict&)>;
  void request(std::string reason, judged then);
  /// To be told of every verdict but the first load's. Main thread only, as what follows.
  void on_verdict(judged listener) { listeners_.push_back(std::move(listener)); }
  /// To be told when one begins. Main thread only.
  void on_begin(std::function<void()> listener) { on_begin_ = std::move(listener); }
  /// Of the latest load.
  [[nodiscard]] const verdict& last() const { return last_; }
  [[nodiscard]] const snapshot_ptr& current() const { return current_; }
  /// Publishes what is in force with other overrides; later loads keep them.
  void lay_over(routing::overrides_ptr overrides);
  /// Ends watching and waits for a running load.
  void close();

 private:
  struct outcome;
  // When the files began to be read. By the wall clock, which stamps files, and which may be set before they are
  // watched: then the earlier of what it said and of what it would have said.
  struct moment {
    std::chrono::system_clock::time_point wall = std::chrono::system_clock::now();
    clock::time_point steady = clock::now();
    [[nodiscard]] std::chrono::system_clock::time_point at_the_earliest() const;
  };
  struct reading {
    std::shared_ptr<const conf::daemon_settings> settings;
    std::shared_ptr<const routing::route_table> routes;
    std::shared_ptr<const credentials> secrets;
    std::vector<std::string> errors, warnings;
    std::vector<std::filesystem::path> files, folders;
  };
  [[nodiscard]] reading read() const;
  [[nodiscard]] std::vector<std::string> changes(const snapshot& was, const reading& now) const;
  enum class why : std::uint8_t { asked, repeated };
  void begin(why cause);
  void refuse(const outcome& result, bool is_news);
  void finish(const std::shared_ptr<outcome>& loaded);
  void retire(snapshot_ptr old);
  task<void> keep_house();
  void bury();

  asio::io_context& main_;
  auth_tools& tools_;
  std::filesystem::path file_;
  publisher publish_;
  watcher watcher_;
  asio::thread_pool thread_{1};
  timer housekeeping_;
  snapshot_ptr current_;
  std::vector<snapshot_ptr> retired_;
  std::vector<std::filesystem::path> files_, folders_;
  moment read_at_;
  std::string pending_reason_;
  std::vector<judged> pending_;  ///< who waits for the load after the one under way
  verdict last_;
  std::vector<judged> listeners_;
  std::function<void()> on_begin_;
  clock::time_point again_at_ = clock::time_point::max();  ///< when what failed because of the moment is repeated
  bool running_ = false;
  bool closed_ = false;
};

}  // namespace proxy
