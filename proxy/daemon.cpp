#include "proxy/daemon.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <expected>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/command_line.hpp"
#include "proxy/console/caretaker.hpp"
#include "proxy/crew.hpp"
#include "proxy/desk/log.hpp"
#include "proxy/desk/usage_keeper.hpp"
#include "proxy/doors.hpp"
#include "proxy/front_desk.hpp"
#include "proxy/memory_watch.hpp"
#include "proxy/pool/hosts_to_watch.hpp"
#include "proxy/reloader.hpp"
#include "proxy/service/hand_over.hpp"
#include "proxy/service/service_manager.hpp"
#include "proxy/service/succession.hpp"
#include "proxy/service/watchdog.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// How often a leaving daemon looks whether its last session is gone.
constexpr std::chrono::milliseconds leaving_interval{50};

// After SIGINT or the drain's deadline, sessions have this long to say goodbye.
constexpr std::chrono::seconds farewell{3};

// Each session takes two descriptors; the soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string in_words(const reloader::verdict& judged, std::size_t tenants) {
  const std::string force =
      "version " + std::to_string(judged.version) + " in force, " + std::to_string(tenants) + " tenant(s)";
  if (judged.errors.empty()) return "serving; " + force;
  return "serving; reload refused, " + std::to_string(judged.errors.size()) + " error(s): " + judged.errors.front() +
         "; " + force;
}

// Its members stand in the order in which they are made, and go by the reverse.
class daemon {  // NOLINT(clang-analyzer-optin.performance.Padding)
 public:
  daemon(const std::filesystem::path& config, std::vector<std::string> command)
      : reloader_(main_, shared_.auth, config, [this](const snapshot_ptr& next) { publish(next); }),
        console_(main_, reloader_, shared_, crew_.all(), hands()),
        succession_(main_, std::move(command), [this](visitor who) { crew_.take(std::move(who)); }) {
    expect_signals();
    shared_.house = &console_;
    shared_.memory = &memory_;
    reloader_.on_begin([this] {
      if (!succeeded_) service_manager::reloading();
    });
    reloader_.on_verdict([this](const reloader::verdict& judged) {
      if (desk_) desk_->reloaded(judged.errors);
      tell_ready();
    });
  }

  int run() {
    desk::configure_log("info", desk::log_format::text);
    if (!inherit()) return exit_failed;
    const routing::overrides laid = predecessor_ ? predecessor_->will.overrides : routing::overrides();
    first_ = reloader_.load_first(std::make_shared<const routing::overrides>(laid));
    if (!first_) {
      spdlog::error("the configuration has errors; 'pglodge check' shows them, too");
      return exit_failed;
    }
    apply(*first_->settings);
    raise_descriptor_limit();
    if (!open_doors() || !open_desk() || !all_inherited_are_used()) return exit_failed;
    doors_.fit(*first_);
    if (!start_crew()) return exit_failed;
    usage_settings_ = first_->settings->usage;
    if (!usage_settings_.ledger.empty()) usage_.emplace(usage_settings_, [this] { return used(); });
    if (desk_) desk_->start();
    asio::co_spawn(main_, hear_signals(), asio::detached);
    asio::co_spawn(main_, keep_watch(main_, crew_, succeeded_), asio::detached);
    asio::co_spawn(main_, memory_.run(), asio::detached);
    asio::co_spawn(main_, look_every_second(), asio::detached);
    reloader_.start_watching();
    doors_.start();
    spdlog::info("pglodge {} serves on {} with {} worker(s), {} tenant(s)", PGLODGE_VERSION, doors_.names(),
                 crew_.all().size(), first_->routes->tenants().size());
    if (desk_) spdlog::info("metrics and health on http://{}", desk_->name());
    first_.reset();
    asio::co_spawn(main_, begin(), asio::detached);
    main_.run();
    if (desk_) desk_->stop();
    watch_.stop();
    crew_.stop();
    // Now nothing is counted any more. What is left may take as long as a disk does: a signal ends it.
    for (const int number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
    if (usage_) usage_->stop();
    shared_.close();
    desk::tell_last_repeats();
    spdlog::info("pglodge has left");
    return exit_done;
  }

 private:
  // For the console.
  console::caretaker::daemon_hands hands() {
    return {[this](bool drain) { start_leaving(drain ? closing::drain : closing::now); }, [this] { return leaving_; },
            [this] { apply(*reloader_.current()->settings); }, [this] { return doors_.names(); },
            [this] { return succession_.begun(); }};
  }

  // What listens already, and what was laid down at the old process's console.
  bool inherit() {
    auto met = predecessor::meet();
    auto passed = service_manager::passed_sockets();
    if (!met || !passed) {
      spdlog::error("{}", met ? passed.error() : met.error());
      return false;
    }
    inherited_ = std::move(*passed);
    predecessor_ = std::move(*met);
    if (!predecessor_) return true;
    inherited_ = std::move(predecessor_->sockets);
    shared_.neighbours.set_older(predecessor_->will.cancel_doors);
    console_.begin_with_log_level(predecessor_->will.log_level);
    return true;
  }

  // A socket that nobody accepts from would let clients wait for ever. With an upgrade a door may go.
  bool all_inherited_are_used() {
    for (const std::string& name : inherited_.names()) {
      if (predecessor_) {
        spdlog::warn("the configuration does not name {} any more: nobody listens there from now on", name);
        continue;
      }
      spdlog::error(
          "the service manager passed a socket for {}, which neither listen nor admin.http names; write it "
          "there, or take it out of the .socket unit",
          name);
      return false;
    }
    inherited_ = {};
    return true;
  }

  // The last of what is begun, so that nobody is told before signals are heard.
  task<void> begin() {
    if (predecessor_) {
      co_await predecessor_->take_over(main_);
      predecessor_.reset();
    }
    tell_ready();
  }

  void tell_ready() {
    if (predecessor_ || succeeded_ || leaving_) return;
    service_manager::ready(in_words(reloader_.last(), reloader_.current()->routes->tenants().size()));
  }

  bool open_doors() {
    const auto failed =
        doors_.open(main_, *first_->settings, inherited_, [this](visitor who) { crew_.take(std::move(who)); });
    if (failed) spdlog::error("{}", *failed);
    return !failed;
  }

  bool open_desk() {
    desk_address_ = first_->settings->admin.http;
    if (desk_address_.empty()) return true;
    const front_desk::sight sight{[this] { return crew_.loads(); },
                                  [this] { return std::min(crew_.last_moved(), last_look_.load()); }};
    auto desk = front_desk::open(desk_address_, inherited_, shared_, first_, sight);
    if (!desk) {
      spdlog::error("{}", desk.error());
      return false;
    }
    desk_ = std::move(*desk);
    return true;
  }

  bool start_crew() {
    const auto started = crew_.start(first_);
    if (!started) spdlog::error("{}", started.error());
    if (started) watch_hosts(*first_);
    return started.has_value();
  }

  // What a watch needs may be short for a while, after which it is tried again.
  void watch_hosts(const snapshot& now) {
    unwatched_ = false;
    try {
      watch_.watch(hosts_to_watch(now));
    } catch (const std::system_error& error) {
      spdlog::error("the hosts of servers cannot be watched now: {}", error.what());
      unwatched_ = true;
    }
  }

  // Called on the watch's thread.
  void learn(const host_watch::finding& found) {
    const routing::host& where = found.of.where;
    if (found.changed) {
      spdlog::info("server \"{}\": {} is {}{}", found.of.server, routing::to_string(where), to_string(found.role),
                   found.why.empty() ? "" : ": " + found.why);
    }
    shared_.servers.saw(where, found.role, clock::now(), found.why);
    if (found.follows.return_to) shared_.pools.return_to(*found.follows.return_to);
    for (const endpoint& standby : found.follows.leave) shared_.pools.leave(standby);
  }

  // What each tenant used since the start. Called on the keeper's thread.
  desk::usage_totals used() { return shared_.accounts.interval_counts(); }

  // What of the settings concerns this thread.
  void apply(const conf::daemon_settings& settings) {
    drain_time_ = settings.timeouts.drain;
    memory_.set_most(settings.resources.memory);
    const std::string& level = console_.log_level().empty() ? settings.log.level : console_.log_level();
    desk::configure_log(
        level, settings.log.format == conf::log_format::json ? desk::log_format::json : desk::log_format::text);
  }

  void publish(const snapshot_ptr& next) {
    apply(*next->settings);
    doors_.fit(*next);
    shared_.shared_accounts.keep_only(next->routes->parts());
    shared_.servers.keep_only(next->routes->parts());
    crew_.publish(next);
    watch_hosts(*next);
    if (desk_) desk_->publish(next);
    if (next->settings->admin.http != desk_address_)
      spdlog::warn("a change of admin.http takes an upgrade (SIGUSR2) or a restart; it stays as it was");
    if (next->settings->usage != usage_settings_)
      spdlog::warn("a change of usage takes an upgrade (SIGUSR2) or a restart; it stays as it was");
  }

  // Of lines that were held back; and what could not be done is tried again.
  task<void> look_every_second() {
    timer pause(main_);
    for (;;) {
      pause.expires_after(std::chrono::seconds(1));
      auto [error] = co_await pause.async_wait(no_throw);
      if (error) co_return;
      last_look_ = clock::now();
      desk::tell_repeats();
      if (unwatched_) watch_hosts(*reloader_.current());
    }
  }

  // Those that may come before the first configuration has been read, and would end a process that does not expect
  // them. They are heard when it is. Those that are to end it may do so until then.
  void expect_signals() {
    error_code failed;
    for (const int number : {SIGHUP, SIGUSR2}) signals_.add(number, failed);
  }

  task<void> hear_signals() {
    for (const int number : {SIGTERM, SIGINT}) signals_.add(number);
    for (;;) {
      auto [error, number] = co_await signals_.async_wait(no_throw);
      if (error) co_return;
      if (number == SIGHUP) {
        reloader_.request("SIGHUP");
        continue;
      }
      if (number == SIGUSR2) {
        asio::co_spawn(main_, upgrade(), asio::detached);
        continue;
      }
      // When the main process of a service has left, systemd sends SIGTERM to those that are still there, again. One
      // that was succeeded drains on, for as long as it may; SIGINT hurries it.
      if (number == SIGTERM && succeeded_ && leaving_) continue;
      start_leaving(number == SIGTERM ? closing::drain : closing::now);
    }
  }

  void start_leaving(closing how) {
    if (leaving_) {
      spdlog::warn("second signal: leaving as things are, with {} session(s)", crew_.sessions());
      main_.stop();
      return;
    }
    leaving_ = true;
    succession_.give_up();
    asio::co_spawn(main_, leave(how), asio::detached);
  }

  task<void> leave(closing how) {
    spdlog::info("{}: no new sessions, {} running", how == closing::drain ? "draining" : "closing", crew_.sessions());
    if (!succeeded_) service_manager::leaving("leaving");
    if (desk_) desk_->leaving();
    if (how == closing::drain && !doors_.empty()) co_await stay_unready();
    doors_.close();
    crew_.close_sessions(how);
    if (how == closing::drain) {
      co_await wait_for_sessions(drain_time_);
      crew_.close_sessions(closing::now);
    }
    co_await wait_for_sessions(farewell);
    reloader_.close();
    main_.stop();
  }

  // Balancers look at /readyz now and then: meanwhile whom they still send is let in.
  task<void> stay_unready() {
    timer pause(main_, reloader_.current()->settings->timeouts.unready);
    co_await pause.async_wait(no_throw);
  }

  task<void> upgrade() {
    if (succession_.begun() || leaving_) {
      spdlog::warn("SIGUSR2: {}", leaving_ ? "this process is leaving" : "an upgrade is under way, or was made");
      co_return;
    }
    spdlog::info("upgrade: starting {}", succession_.program());
    testament will;
    will.overrides = *reloader_.current()->overrides;
    will.log_level = console_.log_level();
    will.cancel_doors = shared_.neighbours.older();
    std::vector<int> sockets = doors_.descriptors(will);
    if (desk_) std::ranges::copy(desk_->descriptors(), std::back_inserter(sockets));
    const std::function<void(pid_t)> made = [this](pid_t successor) { be_succeeded_by(successor); };
    const auto served = co_await succession_.run(std::move(will), std::move(sockets), made);
    if (!served) {
      if (leaving_) spdlog::warn("the upgrade is given up, since this process was told to leave");
      if (!leaving_) spdlog::error("upgrade failed: {}; this process goes on", served.error());
      co_return;
    }
    const auto longest = reloader_.current()->settings->timeouts.upgrade;
    co_await wait_for_sessions(longest.count() == 0 ? clock::duration::max() : longest);
    if (!leaving_) start_leaving(closing::drain);
  }

  void be_succeeded_by(pid_t successor) {
    succeeded_ = true;
    service_manager::succeeded_by(successor);
    spdlog::info("upgrade: process {} serves; {} session(s) go on here", successor, crew_.sessions());
    doors_.leave_to_successor();
    crew_.close_sessions(closing::succeeded);
    shared_.pools.make_room();
    if (desk_) desk_->stop();
    desk_.reset();
  }

  task<void> wait_for_sessions(clock::duration at_most) {
    timer pause(main_);
    const auto began = clock::now();
    while (crew_.sessions() > 0 && clock::now() - began < at_most) {
      pause.expires_after(leaving_interval);
      co_await pause.async_wait(no_throw);
    }
  }

  asio::io_context main_{1};
  asio::basic_signal_set<executor> signals_{main_};
  shared_state shared_;
  reloader reloader_;
  std::optional<predecessor> predecessor_;  ///< until this process serves
  inherited_sockets inherited_;
  snapshot_ptr first_;
  doors doors_;
  crew crew_{shared_};
  memory_watch memory_{main_, crew_.all()};
  conf::usage_settings usage_settings_;
  std::optional<desk::usage_keeper> usage_;
  host_watch watch_{shared_.names, [this](const host_watch::finding& found) { learn(found); }};
  console::caretaker console_;
  succession succession_;
  std::string desk_address_;                                 // empty: none
  std::unique_ptr<front_desk> desk_;                         // its thread reads the workers' loads
  std::atomic<clock::time_point> last_look_ = clock::now();  ///< by look_every_second
  clock::duration drain_time_{};
  bool unwatched_ = false;  ///< hosts of servers that ought to be watched
  bool leaving_ = false;
  bool succeeded_ = false;  ///< the service is another process now
};

}  // namespace

int serve(const std::filesystem::path& config, std::vector<std::string> command) {
  daemon house(config, std::move(command));
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a ledger at the limit of file sizes is an error of that write, and no more
  return house.run();
}

}  // namespace proxy
