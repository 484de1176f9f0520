#include "proxy/worker.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "proxy/console/house.hpp"
#include "proxy/random.hpp"
#include "proxy/readiness.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/server_look.hpp"
#include "proxy/thread_name.hpp"

namespace proxy {
namespace {

// How often deadlines are looked at: a session may overstay by this much.
constexpr std::chrono::milliseconds sweep_interval{200};

// How many sessions are told or asked something before the loop serves traffic again.
constexpr std::size_t sessions_per_slice = 64;

}  // namespace

// The kernel is asked for what the event loop needs before the first client is there.
worker::worker(unsigned number, shared_state& shared, snapshot_ptr first)
    : number_(number),
      shared_(shared),
      statements_(shared.schema_generation, &random_fraction),
      places_(number),
      scratch_(scratch_size),
      current_(std::move(first)) {
  asio::use_service<readiness>(context_);
}

worker::~worker() { stop(); }

std::optional<std::string> worker::start() {
  std::promise<std::optional<std::string>> without_ring;
  auto opened = without_ring.get_future();
  thread_ = std::thread([this, &without_ring] {
    name_this_thread("worker " + std::to_string(number_));
    const auto method = current_->settings->io;
    const auto use =
        method == conf::io_method::io_uring ? readiness::ring_use::always : readiness::ring_use::while_it_pays;
    try {
      const bool wanted = method != conf::io_method::epoll;
      without_ring.set_value(wanted ? asio::use_service<readiness>(context_).open_ring(use) : std::nullopt);
    } catch (const std::exception&) {
      return without_ring.set_exception(std::current_exception());
    }
    asio::co_spawn(context_, sweep(), asio::detached);
    context_.run();
  });
  return opened.get();
}

void worker::take(visitor who) {
  asio::post(context_,
             [this, who = std::move(who), place = load_.add()]() mutable { admit(std::move(who), std::move(place)); });
}

void worker::admit(visitor who, counted place) {
  auto session = std::make_shared<client_session>(*this, std::move(who), std::move(place));
  asio::co_spawn(context_, client_session::run(session), [](const std::exception_ptr& failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      spdlog::critical("a session ended by an exception, which is a defect of the lodge: {}", error.what());
    }
  });
}

void worker::publish(snapshot_ptr next) {
  asio::post(context_, [this, next = std::move(next)]() mutable {
    current_ = std::move(next);
    begin_round([](client_session& session) { session.on_publish(); }, {});
  });
}

void worker::survey(std::function<void(std::vector<console::client_facts>)> to) {
  asio::post(context_, [this, to = std::move(to)]() mutable {
    auto found = std::make_shared<std::vector<console::client_facts>>();
    begin_round([found](client_session& session) { found->push_back(session.facts()); },
                [found, to = std::move(to)] { to(std::move(*found)); });
  });
}

void worker::kill(console::kill_target whom, std::function<void(std::size_t)> to) {
  asio::post(context_, [this, whom = std::move(whom), to = std::move(to)]() mutable {
    auto count = std::make_shared<std::size_t>(0);
    auto end_it = [count, whom = std::move(whom)](client_session& session) {
      if (!session.is(whom)) return;
      session.kill();
      ++*count;
    };
    begin_round(std::move(end_it), [count, to = std::move(to)] { to(*count); });
  });
}

void worker::find_largest(std::function<void(holder)> to) {
  asio::post(context_, [this, to = std::move(to)]() mutable {
    auto most = std::make_shared<holder>();
    begin_round(
        [most](client_session& session) {
          const std::size_t bytes = session.held();
          if (bytes > most->bytes) *most = {session.id(), bytes};
        },
        [most, to = std::move(to)] { to(*most); });
  });
}

void worker::end_for_memory(std::uint64_t id) {
  asio::post(context_, [this, id] {
    if (const auto found = sessions_.find(id); found != sessions_.end()) found->second->end_for_memory();
  });
}

void worker::begin_round(std::function<void(client_session&)> each, std::function<void()> done) {
  auto what = std::make_shared<round>(round{{}, std::move(each), std::move(done)});
  what->ids.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) what->ids.push_back(id);
  go_on(std::move(what), 0);
}

void worker::go_on(std::shared_ptr<round> what, std::size_t from) {
  const std::size_t to = std::min(from + sessions_per_slice, what->ids.size());
  for (std::size_t i = from; i < to; ++i) {
    const auto found = sessions_.find(what->ids[i]);
    if (found != sessions_.end()) what->each(*found->second);
  }
  if (to == what->ids.size()) {
    if (what->done) what->done();
    return;
  }
  asio::post(context_, [this, what = std::move(what), to]() mutable { go_on(std::move(what), to); });
}

void worker::close_sessions(closing how) {
  asio::post(context_, [this, how] {
    for (const auto& [id, session] : sessions_) session->on_closing(how);
  });
}

void worker::stop() {
  if (!thread_.joinable()) return;
  context_.stop();
  thread_.join();
}

void worker::enter(client_session& session) {
  sessions_.emplace(session.id(), &session);
  lookout_.enter(session);
}

void worker::leave(client_session& session) {
  sessions_.erase(session.id());
  lookout_.leave(session);
}

// One worker does it for all.
void worker::retire_connections(clock::time_point now) {
  const auto& timeouts = current_->settings->timeouts;
  const auto before = [&](clock::duration age) {
    return age == clock::duration::zero() ? clock::time_point::min() : now - age;
  };
  shared_.pools.retire(before(timeouts.server_idle), before(timeouts.server_lifetime));
}

// In slices: ten thousand sessions, none of which is in the CPU's cache, take milliseconds. Who comes, leaves or is
// roused between two of them changes the row; who is looked at twice or next time only is none the worse for it.
task<void> worker::look_at_all(clock::time_point now) {
  const auto idle = current_->settings->timeouts.idle;
  if (idle > clock::duration::zero()) lookout_.rouse_idle_since(now - idle);
  for (std::size_t left = lookout_.awake(); left > 0; --left) {
    auto* const next = static_cast<client_session*>(lookout_.next());
    if (next == nullptr) co_return;
    if (const auto idle_since = next->on_tick(now)) lookout_.rest(*next, *idle_since);
    if (left % sessions_per_slice == 0) co_await asio::post(context_, asio::deferred);
  }
}

task<void> worker::sweep() {
  for (;;) {
    sweeper_.expires_after(sweep_interval);
    auto [error] = co_await sweeper_.async_wait(no_throw);
    if (error) co_return;
    const auto now = clock::now();
    last_sweep_.store(now.time_since_epoch());
    asio::use_service<readiness>(context_).look_after_ring();
    co_await look_at_all(now);
    if (number_ == 0) {
      retire_connections(now);
      shared_.pools.on_tick();
      look_at_lost_servers(*this);
    }
  }
}

}  // namespace proxy
