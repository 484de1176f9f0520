// The house, as the daemon has it: what the console asks is done on the main thread, which owns the reloader and the
// overrides, or carried to every worker in turn.
//
// What must hold: it is made before the workers' threads start, and outlives them.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "proxy/console/house.hpp"
#include "proxy/reloader.hpp"
#include "proxy/worker.hpp"

namespace proxy::console {

class caretaker final : public house {
 public:
  static constexpr std::size_t most_events = 1000;

  /// What only the daemon can do, on the main thread.
  struct daemon_hands {
    std::function<void(bool drain)> leave;
    std::function<bool()> leaving;
    std::function<void()> apply_log;  ///< `log_level` has changed
    std::function<std::string()> doors;
    std::function<bool()> hands_over;  ///< another process begins with what has been laid down, or has begun
  };
  /// Of `shared`, what is to be told of is read, and what takes long is done by `computing`.
  caretaker(asio::io_context& main, reloader& files, shared_state& shared,
            const std::vector<std::unique_ptr<worker>>& workers, daemon_hands hands);

  /// Laid over the configuration's level; empty: none. Main thread only.
  [[nodiscard]] const std::string& log_level() const { return log_level_; }
  /// As another process had it. Before the workers start.
  void begin_with_log_level(std::string level) { log_level_ = std::move(level); }

  void clients(reply<std::vector<client_facts>> to) override;
  void status(reply<status_facts> to) override;
  void events(reply<std::vector<event>> to) override;
  std::vector<std::pair<std::string, desk::usage_counts>> usage() override;
  std::optional<std::chrono::microseconds> recent_p99(const std::string& tenant) override;
  std::shared_ptr<const desk::stats_period::reading> last_period() override { return period_.last(); }
  void reload(const std::string& by, reply<reload_outcome> to) override;
  void shut_down(const std::string& by, bool drain) override;
  void lay_over(const std::string& by, const std::string& what, const std::string& subject, override_change change,
                reply<std::optional<pgwire::error_report>> to) override;
  void kill(const std::string& by, const kill_target& whom, reply<std::size_t> to) override;
  void set_log_level(const std::string& by, const std::string& level) override;
  void note(const std::string& by, const std::string& kind, const std::string& subject,
            const std::string& what) override;

 private:
  void remember(event what);
  task<void> keep_periods();

  asio::io_context& main_;
  reloader& files_;
  shared_state& shared_;
  desk::stats_period period_;
  const std::vector<std::unique_ptr<worker>>& workers_;
  const daemon_hands hands_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  std::string log_level_;
  std::deque<event> events_;  // the latest is last
};

}  // namespace proxy::console
