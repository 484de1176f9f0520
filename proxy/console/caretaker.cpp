#include "proxy/console/caretaker.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <iterator>
#include <mutex>
#include <utility>

#include "protocol/sqlstate.hpp"

namespace proxy::console {
namespace {

// What all workers have said, once the last of them has.
template <class T>
class gathering {
 public:
  gathering(std::size_t expected, reply<T> to) : missing_(expected), to_(std::move(to)) {}

  void add(auto fold) {
    const std::scoped_lock lock(mutex_);
    fold(sum_);
    if (--missing_ == 0) to_(std::move(sum_));
  }

 private:
  std::mutex mutex_;
  std::size_t missing_;
  T sum_{};
  const reply<T> to_;
};

// What is laid down now, the process that takes over would never hear of.
pgwire::error_report hands_over() {
  return {"ERROR",
          std::string(pgwire::sqlstate::not_in_prerequisite_state),
          "an upgrade is under way",
          {},
          "Connect to the console again once it is done, and repeat the command there."};
}

std::string in_words(const kill_target& whom) {
  if (whom.id) return "client " + std::to_string(*whom.id);
  if (whom.tenant) return "tenant " + *whom.tenant;
  return whom.place ? "database " + *whom.place : "everybody";
}

}  // namespace

caretaker::caretaker(asio::io_context& main, reloader& files, shared_state& shared,
                     const std::vector<std::unique_ptr<worker>>& workers, daemon_hands hands)
    : main_(main), files_(files), shared_(shared), workers_(workers), hands_(std::move(hands)) {
  asio::co_spawn(main_, keep_periods(), asio::detached);
  files_.on_verdict([this](const reloader::verdict& judged) {
    std::string words = judged.errors.empty() ? "version " + std::to_string(judged.version) : "refused";
    for (const auto& one : judged.errors.empty() ? judged.changes : judged.errors) words += "; " + one;
    remember({judged.read_at, "reload", "", std::move(words), judged.reason});
  });
}

void caretaker::clients(reply<std::vector<client_facts>> to) {
  using list = std::vector<client_facts>;
  auto all = std::make_shared<gathering<list>>(workers_.size(), std::move(to));
  for (const auto& one : workers_) {
    one->survey([all](list found) { all->add([&](list& sum) { std::ranges::move(found, std::back_inserter(sum)); }); });
  }
}

// Noted when it is known whom it met: a client that is not there was not killed.
void caretaker::kill(const std::string& by, const kill_target& whom, reply<std::size_t> to) {
  auto tell = [this, by, whom, to = std::move(to)](std::size_t count) {
    if (!whom.id || count > 0) note(by, "kill", in_words(whom), std::to_string(count) + " session(s) ended");
    to(count);
  };
  auto all = std::make_shared<gathering<std::size_t>>(workers_.size(), std::move(tell));
  for (const auto& one : workers_) {
    one->kill(whom, [all](std::size_t count) { all->add([count](std::size_t& sum) { sum += count; }); });
  }
}

void caretaker::status(reply<status_facts> to) {
  asio::post(main_, [this, to = std::move(to)] {
    status_facts now;
    now.started = started_;
    now.version = PGLODGE_VERSION;
    now.doors = hands_.doors();
    now.workers = static_cast<unsigned>(workers_.size());
    now.leaving = hands_.leaving();
    now.log_level = log_level_;
    now.read_at = files_.last().read_at;
    now.reload_errors = files_.last().errors;
    to(std::move(now));
  });
}

void caretaker::events(reply<std::vector<event>> to) {
  asio::post(main_, [this, to = std::move(to)] { to({events_.begin(), events_.end()}); });
}

std::vector<std::pair<std::string, desk::usage_counts>> caretaker::usage() { return shared_.accounts.counts(); }

std::optional<std::chrono::microseconds> caretaker::recent_p99(const std::string& tenant) {
  const auto account = shared_.accounts.find(tenant);
  return account ? account->queries.p99(clock::now()) : std::nullopt;
}

void caretaker::reload(const std::string& by, reply<reload_outcome> to) {
  asio::post(main_, [this, by, to = std::move(to)] {
    files_.request("RELOAD by " + by,
                   [to](const reloader::verdict& judged) { to({judged.errors, judged.changes, judged.version}); });
  });
}

void caretaker::shut_down(const std::string& by, bool drain) {
  note(by, "shutdown", "", drain ? "drains" : "at once");
  asio::post(main_, [this, drain] { hands_.leave(drain); });
}

void caretaker::lay_over(const std::string& by, const std::string& what, const std::string& subject,
                         override_change change, reply<std::optional<pgwire::error_report>> to) {
  asio::post(main_, [this, by, what, subject, change = std::move(change), to = std::move(to)] {
    if (hands_.hands_over()) return to(hands_over());
    const snapshot_ptr now = files_.current();
    auto next = std::make_shared<routing::overrides>(*now->overrides);
    if (auto refused = change(*now->routes, *next)) return to(std::move(refused));
    files_.lay_over(std::move(next));
    note(by, "override", subject, what);
    to(std::nullopt);
  });
}

void caretaker::set_log_level(const std::string& by, const std::string& level) {
  note(by, "set", "log_level", level.empty() ? "DEFAULT" : level);
  asio::post(main_, [this, level] {
    log_level_ = level;
    hands_.apply_log();
  });
}

void caretaker::note(const std::string& by, const std::string& kind, const std::string& subject,
                     const std::string& what) {
  spdlog::warn("console, {}: {} {} {}", by, kind, subject, what);
  event made{std::chrono::system_clock::now(), kind, subject, what, by};
  asio::post(main_, [this, made = std::move(made)]() mutable { remember(std::move(made)); });
}

// Begins when the main thread's loop runs: then there is a configuration.
task<void> caretaker::keep_periods() {
  timer pause(main_);
  for (;;) {
    pause.expires_after(files_.current()->settings->admin.stats_period);
    auto [error] = co_await pause.async_wait(no_throw);
    if (error) co_return;
    auto end_it = [this]() noexcept { period_.end(shared_.accounts, clock::now()); };
    shared_.computing.try_post(std::move(end_it));
  }
}

void caretaker::remember(event what) {
  if (events_.size() == most_events) events_.pop_front();
  events_.push_back(std::move(what));
}

}  // namespace proxy::console
