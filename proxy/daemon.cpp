#include "proxy/daemon.hpp"

#include <sched.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/command_line.hpp"
#include "proxy/console/caretaker.hpp"
#include "proxy/desk/log.hpp"
#include "proxy/desk/usage_keeper.hpp"
#include "proxy/front_desk.hpp"
#include "proxy/listener.hpp"
#include "proxy/pool/hosts_to_watch.hpp"
#include "proxy/reloader.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// How often a leaving daemon looks whether its last session is gone.
constexpr std::chrono::milliseconds leaving_interval{50};

// After SIGINT or the drain's deadline, sessions have this long to say goodbye.
constexpr std::chrono::seconds farewell{3};

unsigned cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

// Each session takes two descriptors; the soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class daemon {
 public:
  explicit daemon(const std::filesystem::path& config)
      : reloader_(main_, shared_.auth, config, [this](const snapshot_ptr& next) { publish(next); }),
        console_(main_, reloader_, shared_.accounts, workers_, hands()) {
    shared_.house = &console_;
    reloader_.on_verdict([this](const reloader::verdict& judged) {
      if (desk_) desk_->reloaded(judged.errors);
    });
  }

  int run() {
    desk::configure_log("info", desk::log_format::text);
    first_ = reloader_.load_first();
    if (!first_) {
      spdlog::error("the configuration has errors; 'pglodge check' shows them, too");
      return exit_failed;
    }
    apply(*first_->settings);
    raise_descriptor_limit();
    if (!open_doors() || !open_desk()) return exit_failed;
    fit_doors(*first_);
    start_workers();
    if (!first_->settings->usage.ledger.empty()) usage_.emplace(first_->settings->usage, [this] { return used(); });
    if (desk_) desk_->start();
    asio::co_spawn(main_, hear_signals(), asio::detached);
    reloader_.start_watching();
    for (const auto& door : doors_) door->start();
    spdlog::info("pglodge {} serves on {} with {} worker(s), {} tenant(s)", PGLODGE_VERSION, door_names(),
                 workers_.size(), first_->routes->tenants().size());
    if (desk_) spdlog::info("metrics and health on http://{}", desk_->name());
    first_.reset();
    main_.run();
    if (desk_) desk_->stop();
    watch_.stop();
    for (const auto& one : workers_) one->stop();
    // Now nothing is counted any more. What is left may take as long as a disk does: a signal ends it.
    for (const int number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
    if (usage_) usage_->stop();
    shared_.close();
    spdlog::info("pglodge has left");
    return exit_done;
  }

 private:
  // For the console.
  console::caretaker::daemon_hands hands() {
    return {[this](bool drain) { start_leaving(drain ? closing::drain : closing::now); }, [this] { return leaving_; },
            [this] { apply(*reloader_.current()->settings); }, [this] { return door_names(); }};
  }

  // Those on their way to a worker included.
  std::size_t sessions() const {
    std::size_t sum = 0;
    for (const auto& one : workers_) sum += one->load();
    return sum;
  }

  bool open_doors() {
    for (const auto& where : first_->settings->listen) {
      auto doors = listener::open(main_, where, [this](visitor who) { hand_over(std::move(who)); });
      if (!doors) {
        spdlog::error("{}", doors.error());
        return false;
      }
      std::ranges::move(*doors, std::back_inserter(doors_));
    }
    return true;
  }

  bool open_desk() {
    desk_address_ = first_->settings->admin.http;
    if (desk_address_.empty()) return true;
    auto desk = front_desk::open(desk_address_, shared_, first_, [this] {
      std::vector<std::size_t> loads;
      loads.reserve(workers_.size());
      for (const auto& one : workers_) loads.push_back(one->load());
      return loads;
    });
    if (!desk) {
      spdlog::error("{}", desk.error());
      return false;
    }
    desk_ = std::move(*desk);
    return true;
  }

  std::string door_names() const {
    std::string names;
    for (const auto& door : doors_) names += (names.empty() ? "" : ", ") + door->name();
    return names;
  }

  void start_workers() {
    const unsigned count = first_->settings->workers.value_or(cores());
    for (unsigned i = 0; i < count; ++i) workers_.push_back(std::make_unique<worker>(i, shared_, first_));
    for (const auto& one : workers_) one->start();
    watch_.watch(hosts_to_watch(*first_));
  }

  // Called on the watch's thread.
  void learn(const host_watch::finding& found) {
    const routing::host& where = found.of.where;
    if (found.changed) {
      spdlog::info("server \"{}\": {} is {}{}", found.of.server, routing::to_string(where), to_string(found.role),
                   found.why.empty() ? "" : ": " + found.why);
    }
    if (found.role == host_role::primary) shared_.servers.saw_primary(where);
    if (found.role == host_role::standby || found.role == host_role::down) {
      shared_.servers.saw_no_primary(where, clock::now());
    }
    const auto follows = roles_.learn(found.of.server, where, found.role, found.at);
    if (follows.return_to) shared_.pools.return_to(*follows.return_to);
    for (const endpoint& standby : follows.leave) shared_.pools.leave(standby);
  }

  // What each tenant used since the start. Called on the keeper's thread.
  desk::usage_totals used() { return shared_.accounts.interval_counts(); }

  void hand_over(visitor who) {
    const auto least = std::ranges::min_element(workers_, {}, [](const auto& one) { return one->load(); });
    (*least)->take(std::move(who));
  }

  // What of the settings concerns this thread.
  void apply(const conf::daemon_settings& settings) {
    drain_time_ = settings.timeouts.drain;
    const std::string& level = console_.log_level().empty() ? settings.log.level : console_.log_level();
    desk::configure_log(
        level, settings.log.format == conf::log_format::json ? desk::log_format::json : desk::log_format::text);
  }

  // Gives each door its certificates. Which doors there are is settled at the start.
  void fit_doors(const snapshot& now) {
    const auto& entries = now.settings->listen;
    std::size_t found = 0;
    for (const auto& door : doors_) {
      const auto entry = std::ranges::find_if(entries, [&](const auto& one) { return door->opened_by(one); });
      if (entry == entries.end()) continue;
      door->use(now.secrets->doors[static_cast<std::size_t>(entry - entries.begin())]);
      ++found;
    }
    const bool all_known = std::ranges::all_of(entries, [this](const auto& entry) {
      return std::ranges::any_of(doors_, [&](const auto& door) { return door->opened_by(entry); });
    });
    if (found < doors_.size() || !all_known)
      spdlog::warn("a change of listen takes a restart; the doors stay as they were");
  }

  void publish(const snapshot_ptr& next) {
    apply(*next->settings);
    fit_doors(*next);
    for (const auto& one : workers_) one->publish(next);
    watch_.watch(hosts_to_watch(*next));
    if (desk_) desk_->publish(next);
    if (next->settings->admin.http != desk_address_)
      spdlog::warn("a change of admin.http takes a restart; it stays as it was");
  }

  task<void> hear_signals() {
    asio::basic_signal_set<executor> signals(main_, SIGHUP, SIGTERM, SIGINT);
    for (;;) {
      auto [error, number] = co_await signals.async_wait(no_throw);
      if (error) co_return;
      if (number == SIGHUP) {
        reloader_.request("SIGHUP");
        continue;
      }
      start_leaving(number == SIGTERM ? closing::drain : closing::now);
    }
  }

  void start_leaving(closing how) {
    if (leaving_) {
      spdlog::warn("second signal: leaving as things are, with {} session(s)", sessions());
      main_.stop();
      return;
    }
    leaving_ = true;
    asio::co_spawn(main_, leave(how), asio::detached);
  }

  task<void> leave(closing how) {
    spdlog::info("{}: no new sessions, {} running", how == closing::drain ? "draining" : "closing", sessions());
    if (desk_) desk_->leaving();
    for (const auto& door : doors_) door->close();
    for (const auto& one : workers_) one->close_sessions(how);
    if (how == closing::drain) {
      co_await wait_for_sessions(drain_time_);
      for (const auto& one : workers_) one->close_sessions(closing::now);
    }
    co_await wait_for_sessions(farewell);
    reloader_.close();
    main_.stop();
  }

  task<void> wait_for_sessions(clock::duration at_most) {
    timer pause(main_);
    const auto until = clock::now() + at_most;
    while (sessions() > 0 && clock::now() < until) {
      pause.expires_after(leaving_interval);
      co_await pause.async_wait(no_throw);
    }
  }

  asio::io_context main_{1};
  shared_state shared_;
  reloader reloader_;
  snapshot_ptr first_;
  std::vector<std::unique_ptr<listener>> doors_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::optional<desk::usage_keeper> usage_;
  host_roles roles_;  // the watch's thread's
  host_watch watch_{[this](const host_watch::finding& found) { learn(found); }};
  console::caretaker console_;
  std::string desk_address_;          // empty: none
  std::unique_ptr<front_desk> desk_;  // its thread reads the workers' loads
  clock::duration drain_time_{};
  bool leaving_ = false;
};

}  // namespace

int serve(const std::filesystem::path& config) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a ledger at the limit of file sizes is an error of that write, and no more
  daemon house(config);
  return house.run();
}

}  // namespace proxy
