#include "proxy/pool/host_watch.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace proxy {
namespace {

// How soon it hears of a stop, or of other hosts to watch.
constexpr std::chrono::milliseconds stop_interval{50};

void ignore_notice(void*, const PGresult*) {}

struct result_clearer {
  void operator()(PGresult* result) const { PQclear(result); }
};
using result_ptr = std::unique_ptr<PGresult, result_clearer>;

}  // namespace

// One host: what is being done about it, step by step, as its socket becomes ready.
class host_watch::post {
 public:
  explicit post(watched_host of) : of_(std::move(of)) {}

  // When it has to be looked at, if its socket is not ready before.
  [[nodiscard]] clock::time_point due() const { return due_; }
  [[nodiscard]] pollfd waits_for() const {
    return {doing_ == step::resting ? -1 : PQsocket(to_.get()), static_cast<short>(writes_ ? POLLOUT : POLLIN), 0};
  }
  [[nodiscard]] bool is_due(const pollfd& was, clock::time_point now) const {
    return now >= due_ || (doing_ != step::resting && was.revents != 0);
  }

  void go_on(clock::time_point now, const listener& tell) {
    if (doing_ != step::resting && now >= due_) return conclude(host_role::down, "no answer in time", now, tell);
    switch (doing_) {
      case step::resting: to_ ? ask(now, tell) : connect(now, tell); break;
      case step::connecting: go_on_connecting(now, tell); break;
      case step::asking: read(now, tell); break;
    }
  }

 private:
  enum class step : std::uint8_t { resting, connecting, asking };

  void connect(clock::time_point now, const listener& tell) {
    libpq_parameters with(of_.login, of_.where);
    with.add("application_name", "pglodge-watch");
    with.add("options", "-c search_path=pg_catalog");
    with.add("target_session_attrs", "any");
    to_.reset(PQconnectStartParams(with.names(), with.values(), 0));
    if (!to_ || PQstatus(to_.get()) == CONNECTION_BAD) return give_up(now, tell);
    PQsetNoticeReceiver(to_.get(), ignore_notice, nullptr);
    doing_ = step::connecting;
    writes_ = true;
    answered_ = false;
    due_ = now + of_.connect_timeout;
  }

  void go_on_connecting(clock::time_point now, const listener& tell) {
    const auto state = PQconnectPoll(to_.get());
    const auto status = PQstatus(to_.get());
    answered_ = answered_ || status == CONNECTION_AWAITING_RESPONSE || status == CONNECTION_AUTH_OK;
    if (state == PGRES_POLLING_FAILED) return give_up(now, tell);
    writes_ = state == PGRES_POLLING_WRITING;
    if (state != PGRES_POLLING_OK) return;
    PQsetnonblocking(to_.get(), 1);
    ask(now, tell);
  }

  void ask(clock::time_point now, const listener& tell) {
    if (PQsendQuery(to_.get(), "SELECT pg_catalog.pg_is_in_recovery()") != 1 || PQflush(to_.get()) < 0) {
      return broke(now, tell);
    }
    doing_ = step::asking;
    role_ = host_role::unknown;
    writes_ = false;
    due_ = now + of_.connect_timeout;
  }

  void read(clock::time_point now, const listener& tell) {
    if (PQflush(to_.get()) < 0 || PQconsumeInput(to_.get()) != 1) return broke(now, tell);
    while (PQisBusy(to_.get()) == 0) {
      const result_ptr result(PQgetResult(to_.get()));
      if (!result) return conclude(role_, "it gave no answer", now, tell);
      if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) return broke(now, tell);
      role_ = std::string_view(PQgetvalue(result.get(), 0, 0)) == "t" ? host_role::standby : host_role::primary;
      fresh_ = false;
    }
  }

  // A connection that was kept may have been closed long ago: then another is tried, at once.
  void broke(clock::time_point now, const listener& tell) {
    if (fresh_) return give_up(now, tell);
    to_.reset();
    fresh_ = true;
    connect(now, tell);
  }

  void give_up(clock::time_point now, const listener& tell) {
    std::string why = to_ ? libpq_words(PQerrorMessage(to_.get())) : "no memory for a connection";
    // libpq tells no SQLSTATE here. What was said may be about this login alone: sessions will see.
    conclude(answered_ ? host_role::unknown : host_role::down, std::move(why), now, tell);
  }

  void conclude(host_role role, std::string why, clock::time_point now, const listener& tell) {
    const bool kept = role == host_role::primary || role == host_role::standby;
    const std::optional<endpoint> at = kept ? peer() : std::nullopt;
    if (kept) {
      why.clear();
    } else {
      to_.reset();
      fresh_ = true;
    }
    doing_ = step::resting;
    due_ = now + of_.interval;
    const bool changed = told_ != role;
    told_ = role;
    tell({of_, role, changed, at, std::move(why)});
  }

  [[nodiscard]] std::optional<endpoint> peer() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(PQsocket(to_.get()), reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
    return endpoint(&address, size);
  }

  const watched_host of_;
  libpq_connection to_;
  step doing_ = step::resting;
  bool writes_ = false;
  bool answered_ = false;
  bool fresh_ = true;  // nothing has been answered on this connection
  host_role role_ = host_role::unknown;
  std::optional<host_role> told_;
  clock::time_point due_{};
};

void host_watch::watch(std::vector<watched_host> hosts) {
  const std::scoped_lock lock(mutex_);
  if (hosts.empty() && !thread_.joinable()) return;
  next_ = std::move(hosts);
  has_next_ = true;
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void host_watch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void host_watch::run(const std::stop_token& stop) {
  std::vector<std::unique_ptr<post>> posts;
  std::vector<pollfd> waiting;
  while (!stop.stop_requested()) {
    {
      const std::scoped_lock lock(mutex_);
      if (std::exchange(has_next_, false)) {
        posts.clear();
        for (watched_host& one : next_) posts.push_back(std::make_unique<post>(std::move(one)));
        next_.clear();
      }
    }
    waiting.clear();
    auto until = clock::now() + stop_interval;
    for (const auto& one : posts) {
      waiting.push_back(one->waits_for());
      until = std::min(until, one->due());
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::max<std::int64_t>(0, left.count())));
    for (std::size_t i = 0; i < posts.size() && !stop.stop_requested(); ++i) {
      const auto now = clock::now();
      if (posts[i]->is_due(waiting[i], now)) posts[i]->go_on(now, tell_);
    }
  }
}

}  // namespace proxy
