#include "proxy/session/relay.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "protocol/frontend_messages.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// Who waits for its tenant's rates looks up this often: its session may be over.
constexpr std::chrono::milliseconds longest_pause{100};

// Who waits for a cancel request to arrive looks so often whether it has.
constexpr std::chrono::milliseconds arrival_poll{5};

}  // namespace

// One direction: what differs between the two pumps.
struct relay::direction {
  transport& from;
  transport& to;
  traffic_tracker::verdict (traffic_tracker::*look)(std::span<const std::byte>);
  void (session_meter::*count)(std::size_t);
  bool relay::* write_cut;
  relay_end source_lost;
  relay_end sink_lost;  ///< none: the other pump finds out, once it has read what the sink said last
  relay_end fault;
};

relay::relay(worker& home, transport& client, transport& server, session_meter& meter, const routing::limits& limits,
             server_after after, round_ended ended)
    : home_(home),
      client_(client),
      server_(server),
      meter_(meter),
      limits_(limits),
      after_(after),
      round_ended_(std::move(ended)) {
  traffic_.watch(limits_.log_min_duration_statement.has_value());
}

task<relay_end> relay::run(std::string early_client, std::string early_server, std::shared_ptr<void> keep_alive) {
  client_.may_use_ring();
  server_.may_use_ring();
  auto to_client = [](relay* self, std::string early, std::shared_ptr<void>) -> task<void> {
    const direction way{self->server_,
                        self->client_,
                        &traffic_tracker::from_server,
                        &session_meter::bytes_out,
                        &relay::client_write_cut_,
                        relay_end::server_lost,
                        relay_end::client_lost,
                        relay_end::server_fault};
    co_await self->pump(way, std::move(early));
    self->to_client_done_ = true;
    if (self->joining_ != nullptr) self->joining_->cancel();
  };
  asio::co_spawn(home_.context(), to_client(this, std::move(early_server), std::move(keep_alive)), asio::detached);

  const direction way{client_,
                      server_,
                      &traffic_tracker::from_client,
                      &session_meter::bytes_in,
                      &relay::server_write_cut_,
                      relay_end::client_lost,
                      relay_end::none,
                      relay_end::client_fault};
  co_await pump(way, std::move(early_client));
  if (!to_client_done_) {
    timer joining(home_.context(), clock::time_point::max());
    joining_ = &joining;
    co_await joining.async_wait(no_throw);
    joining_ = nullptr;
  }
  co_return end_;
}

void relay::leave_when_idle(bool leave) {
  leave_when_idle_ = leave;
  if (leave && traffic_.idle()) finish(relay_end::told_to_leave);
}

void relay::on_tick() {
  if (end_ == relay_end::none) return;
  client_.cancel();
  server_.cancel();
}

void relay::finish(relay_end how) {
  if (end_ != relay_end::none || how == relay_end::none) return;
  end_ = how;
  client_.cancel();
  server_.cancel();
}

task<void> relay::pump(const direction& way, std::string early) {
  if (!early.empty()) {
    if (!co_await pass_on(way, std::move(early))) co_return;
  }
  const auto scratch = home_.scratch();
  int rounds = 0;
  while (end_ == relay_end::none) {
    const bool from_client = &way.from == &client_;
    if (from_client && held_while_) co_await outwait_cancel();
    const bool paced = from_client && meter_.is_paced(limits_);
    if (paced && traffic_.idle()) {
      co_await keep_pace();
      if (end_ != relay_end::none) co_return;
    }
    const io_result read = way.from.read_some(scratch);
    if (read.status == io_status::end) co_return on_end_of(way);
    if (read.status == io_status::failed) co_return on_loss_of(way);
    if (read.status == io_status::done) {
      const auto chunk = scratch.first(read.bytes);
      (meter_.*way.count)(read.bytes);
      const auto verdict = (traffic_.*way.look)(chunk);
      follow_rounds();
      auto rest = chunk.first(without_goodbye(way, chunk.first(verdict.forward)));
      if (!rest.empty()) {
        const io_result wrote = way.to.write_soon(rest);
        if (wrote.status == io_status::failed) co_return finish(way.sink_lost);
        rest = rest.subspan(wrote.bytes);
      }
      if (!rest.empty()) {
        const std::string aside(reinterpret_cast<const char*>(rest.data()), rest.size());
        if (!co_await write_aside(way, aside)) co_return;
      }
      if (!settle(way, verdict)) co_return;
    }
    if (read.emptied) {
      rounds = 0;
      auto [error] = co_await way.from.wait_readable();
      if (error) co_return finish(way.source_lost);
    } else if (++rounds == rounds_before_yield) {
      rounds = 0;
      co_await asio::post(home_.context(), asio::deferred);
    }
  }
}

void relay::follow_rounds() {
  const auto took = meter_.follow(traffic_.rounds());
  if (took && traffic_.shown().watching()) {
    round_ended_(*took, traffic_.shown().text());
    traffic_.shown().clear();
  }
  traffic_.watch(limits_.log_min_duration_statement.has_value());
}

// What the tenant has had beyond its rates is waited for before more of its client is read.
task<void> relay::keep_pace() {
  const auto begun = clock::now();
  settle_account(begun);
  timer pause(home_.context());
  while (end_ == relay_end::none) {
    const auto debt = meter_.debt(limits_, clock::now());
    if (debt <= clock::duration::zero()) break;
    pausing_since_ = begun;
    pause.expires_after(std::min<clock::duration>(debt, longest_pause));
    co_await pause.async_wait(no_throw);
  }
  if (std::exchange(pausing_since_, std::nullopt)) meter_.waited(clock::now() - begun);
}

task<void> relay::outwait_cancel() {
  timer pause(home_.context());
  while (end_ == relay_end::none && held_while_()) {
    pause.expires_after(arrival_poll);
    co_await pause.async_wait(no_throw);
  }
  held_while_ = nullptr;
}

task<bool> relay::pass_on(const direction& way, std::string bytes) {
  (meter_.*way.count)(bytes.size());
  const auto verdict = (traffic_.*way.look)(as_bytes(bytes));
  follow_rounds();
  bytes.resize(without_goodbye(way, as_bytes(bytes).first(verdict.forward)));
  if (!co_await write_aside(way, bytes)) co_return false;
  co_return settle(way, verdict);
}

// The slow way, for what the sink did not take at once.
task<bool> relay::write_aside(const direction& way, const std::string& bytes) {
  this->*way.write_cut = true;
  const bool wrote = co_await way.to.write_all(as_bytes(bytes));
  if (wrote) {
    this->*way.write_cut = false;
  } else {
    finish(way.sink_lost);
  }
  co_return wrote;
}

// After a chunk is passed on: whether the pump goes on.
bool relay::settle(const direction& way, const traffic_tracker::verdict& verdict) {
  if (verdict.fault) {
    fault_ = verdict.fault;
    finish(way.fault);
  } else if (goodbye_withheld_) {
    finish(relay_end::client_left);
  } else if (leave_when_idle_ && traffic_.idle()) {
    finish(relay_end::told_to_leave);
  }
  return end_ == relay_end::none;
}

// How much of it is passed on: all but the goodbye of a client whose server stays. Whoever says it while something is
// still to be answered ends the server's session as well.
std::size_t relay::without_goodbye(const direction& way, std::span<const std::byte> accepted) {
  if (after_ == server_after::ends || &way.from != &client_ || !traffic_.client_terminated()) return accepted.size();
  static const std::string goodbye = pgwire::frontend::terminate{}.encode();
  goodbye_withheld_ = !server_told_ && traffic_.idle() && pgwire::as_text(accepted).ends_with(goodbye);
  if (goodbye_withheld_) return accepted.size() - goodbye.size();
  server_told_ = true;
  return accepted.size();
}

bool relay::server_is_free() const {
  const bool client_is_gone = end_ == relay_end::client_left || end_ == relay_end::client_lost;
  return after_ == server_after::stays && client_is_gone && !server_told_ && traffic_.idle() && !server_write_cut_;
}

void relay::on_end_of(const direction& way) {
  if (&way.from == &client_) {
    client_closed_ = true;
    if (after_ == server_after::stays && traffic_.idle()) return finish(relay_end::client_left);
    server_told_ = true;
    server_.shut_write();  // it may still be answering; its end ends the relay
  } else {
    finish(client_gone() ? relay_end::client_left : relay_end::server_closed);
  }
}

void relay::on_loss_of(const direction& way) {
  const bool server_after_goodbye = &way.from == &server_ && client_gone();
  finish(server_after_goodbye ? relay_end::client_left : way.source_lost);
}

}  // namespace proxy
