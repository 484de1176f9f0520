#include "proxy/pool/host_watch.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "proxy/thread_name.hpp"

namespace proxy {
namespace {

// In milliseconds, as poll(2) takes it.
int left_until(clock::time_point when) {
  constexpr std::int64_t longest = 60'000;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, longest));
}

// It can only fail where it has been rung so often that it rings anyway.
void wake_by(const owned_descriptor& bell) {
  const std::uint64_t once = 1;
  static_cast<void>(::write(bell.get(), &once, sizeof once) == sizeof once);
}

// Where the answer to a question lies until the watch's thread fetches it.
struct letter_box {
  std::mutex mutex;
  std::optional<name_lookup::answer> answer;
};

// As libpq takes them for one host with several addresses: lists of the same length.
struct host_lists {
  host_lists(const std::string& host, const std::vector<asio::ip::address>& all) {
    for (const auto& one : all) {
      hosts += (hosts.empty() ? "" : ",") + host;
      addresses += (addresses.empty() ? "" : ",") + one.to_string();
    }
  }
  std::string hosts, addresses;
};

}  // namespace

// One host: what is being done about it, step by step, as its socket becomes ready.
class host_watch::post {
 public:
  post(watched_host of, name_lookup& names, std::shared_ptr<const owned_descriptor> bell)
      : of_(std::move(of)), names_(names), bell_(std::move(bell)) {}

  [[nodiscard]] const watched_host& of() const { return of_; }

  // When it has to be looked at, if its socket is not ready before.
  [[nodiscard]] clock::time_point due() const { return due_; }
  [[nodiscard]] pollfd waits_for() const {
    return {at_socket() ? PQsocket(to_.get()) : -1, static_cast<short>(writes_ ? POLLOUT : POLLIN), 0};
  }
  [[nodiscard]] bool is_due(const pollfd& was, clock::time_point now) const {
    return now >= due_ || (at_socket() && was.revents != 0) || has_letter();
  }

  void go_on(clock::time_point now, const listener& tell) {
    if (doing_ != step::resting && now >= due_) return conclude(host_role::down, too_late(), now, tell);
    switch (doing_) {
      case step::resting: to_ ? ask(now, tell) : look_up(now, tell); break;
      case step::looking_up: connect(fetch(), now, tell); break;
      case step::connecting: go_on_connecting(now, tell); break;
      case step::asking: read(now, tell); break;
    }
  }

 private:
  enum class step : std::uint8_t { resting, looking_up, connecting, asking };

  [[nodiscard]] bool at_socket() const { return doing_ == step::connecting || doing_ == step::asking; }
  [[nodiscard]] const char* too_late() const {
    return doing_ == step::looking_up ? "looking up its name took too long" : "no answer in time";
  }

  [[nodiscard]] bool has_letter() const {
    if (!letters_) return false;
    const std::scoped_lock lock(letters_->mutex);
    return letters_->answer.has_value();
  }
  name_lookup::answer fetch() {
    const auto from = std::exchange(letters_, nullptr);
    const std::scoped_lock lock(from->mutex);
    return *std::move(from->answer);
  }

  void look_up(clock::time_point now, const listener& tell) {
    if (of_.where.address.starts_with('/')) return connect_to(nullptr, now, tell);
    letters_ = std::make_shared<letter_box>();
    auto lay_down = [at = std::weak_ptr(letters_), bell = bell_](const name_lookup::answer& found) {
      const auto box = at.lock();
      if (!box) return;
      const std::scoped_lock lock(box->mutex);
      box->answer = found;
      wake_by(*bell);
    };
    if (auto known = names_.ask(of_.where.address, letters_, std::move(lay_down))) {
      letters_.reset();
      return connect(*known, now, tell);
    }
    doing_ = step::looking_up;
    due_ = now + of_.connect_timeout;
  }

  void connect(const name_lookup::answer& found, clock::time_point now, const listener& tell) {
    if (!found) return conclude(host_role::down, found.error(), now, tell);
    if (found->empty()) return conclude(host_role::down, "its name has no address", now, tell);
    const host_lists at(of_.where.address, *found);
    connect_to(&at, now, tell);
  }

  // The host's name goes with each address: a certificate is for the name.
  void connect_to(const host_lists* at, clock::time_point now, const listener& tell) {
    libpq_parameters with(of_.login, of_.where);
    with.add("application_name", "pglodge-watch");
    with.add("options", "-c search_path=pg_catalog");
    with.add("target_session_attrs", "any");
    if (at != nullptr) {
      with.add("host", at->hosts.c_str());  // of a word that is there twice, libpq takes the last
      with.add("hostaddr", at->addresses.c_str());
    }
    to_.reset(PQconnectStartParams(with.names(), with.values(), 0));
    if (!to_ || PQstatus(to_.get()) == CONNECTION_BAD) return give_up(now, tell);
    PQsetNoticeReceiver(to_.get(), [](void*, const PGresult*) {}, nullptr);
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
      const libpq_result result(PQgetResult(to_.get()));
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
    look_up(now, tell);
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
    letters_.reset();
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
  name_lookup& names_;
  const std::shared_ptr<const owned_descriptor> bell_;
  std::shared_ptr<letter_box> letters_;  // while its name is looked up
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
  if (thread_.joinable()) return wake_by(*bell_);
  bell_ = std::make_shared<owned_descriptor>(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell_->is_open()) throw std::system_error(errno, std::generic_category(), "the watch of servers has no bell");
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread("hosts");
    run(stop);
  });
}

void host_watch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  wake_by(*bell_);
  thread_.join();
}

void host_watch::take_over(posts& there, host_roles& roles) {
  const std::scoped_lock lock(mutex_);
  if (!std::exchange(has_next_, false)) return;
  posts made;
  made.reserve(next_.size());
  for (watched_host& one : next_) {
    const auto same = std::ranges::find_if(there, [&](const auto& old) { return old && old->of() == one; });
    made.push_back(same != there.end() ? std::move(*same) : std::make_unique<post>(std::move(one), names_, bell_));
  }
  next_.clear();
  there = std::move(made);
  roles.forget_unless([&](const std::string& server, const std::string& host) {
    return std::ranges::any_of(there, [&](const auto& one) {
      return one->of().server == server && routing::to_string(one->of().where) == host;
    });
  });
}

void host_watch::run(const std::stop_token& stop) {
  posts all;
  host_roles roles;
  const listener tell = [&](const finding& found) {
    finding whole = found;
    whole.follows = roles.learn(found.of.server, found.of.where, found.role, found.at);
    tell_(whole);
  };
  std::vector<pollfd> waiting;
  while (!stop.stop_requested()) {
    take_over(all, roles);
    waiting.clear();
    auto until = clock::time_point::max();
    for (const auto& one : all) {
      waiting.push_back(one->waits_for());
      until = std::min(until, one->due());
    }
    waiting.push_back({bell_->get(), POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), all.empty() ? -1 : left_until(until));
    std::uint64_t rung = 0;
    static_cast<void>(::read(bell_->get(), &rung, sizeof rung) == sizeof rung);
    for (std::size_t i = 0; i < all.size() && !stop.stop_requested(); ++i) {
      const auto now = clock::now();
      if (all[i]->is_due(waiting[i], now)) all[i]->go_on(now, tell);
    }
  }
}

}  // namespace proxy
