#include "proxy/session/relay.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

#include "proxy/worker.hpp"

namespace proxy {
namespace {

// A pump that always finds a full scratch lets the other sessions of its worker run after this many rounds.
constexpr int rounds_before_yield = 8;

}  // namespace

relay::relay(worker& home, transport& client, transport& server) : home_(home), client_(client), server_(server) {}

task<relay_end> relay::run(std::string early, std::shared_ptr<void> keep_alive) {
  auto to_client = [](relay* self, std::shared_ptr<void>) -> task<void> { co_await self->pump_to_client(); };
  asio::co_spawn(home_.context(), to_client(this, std::move(keep_alive)), asio::detached);

  co_await pump_to_server(std::move(early));
  if (!to_client_done_) {
    timer joining(home_.context(), clock::time_point::max());
    joining_ = &joining;
    co_await joining.async_wait(no_throw);
    joining_ = nullptr;
  }
  co_return end_;
}

void relay::leave_when_idle() {
  leave_when_idle_ = true;
  if (traffic_.idle()) finish(relay_end::told_to_leave);
}

void relay::finish(relay_end how) {
  if (end_ != relay_end::none) return;
  end_ = how;
  client_.cancel();
  server_.cancel();
}

task<void> relay::pump_to_server(std::string early) {
  if (!early.empty()) {
    const auto bytes = as_bytes(early);
    bytes_from_client_ += bytes.size();
    const auto verdict = traffic_.from_client(bytes);
    if (!co_await server_.write_all(bytes.first(verdict.forward))) co_return;
    if (verdict.fault) {
      fault_ = verdict.fault;
      co_return finish(relay_end::client_fault);
    }
    early = {};
  }
  const auto scratch = home_.scratch();
  int rounds = 0;
  while (end_ == relay_end::none) {
    const io_result read = client_.read_some(scratch);
    if (read.status == io_status::would_block) {
      auto [error] = co_await client_.wait_readable();
      if (error) co_return finish(relay_end::client_lost);
      continue;
    }
    if (read.status == io_status::end) {
      client_closed_ = true;
      server_.shut_write();
      co_return;  // the server may still have answers; its end ends the relay
    }
    if (read.status == io_status::failed) co_return finish(relay_end::client_lost);

    const auto chunk = scratch.first(read.bytes);
    bytes_from_client_ += read.bytes;
    const auto verdict = traffic_.from_client(chunk);
    auto rest = chunk.first(verdict.forward);
    const io_result wrote = server_.write_some(rest);
    // A server that takes no more has closed; what it said last is still to be read by the other pump.
    if (wrote.status == io_status::failed) co_return;
    rest = rest.subspan(wrote.bytes);
    if (!rest.empty()) {
      const std::string aside(reinterpret_cast<const char*>(rest.data()), rest.size());
      if (!co_await server_.write_all(as_bytes(aside))) co_return;
    }
    if (verdict.fault) {
      fault_ = verdict.fault;
      co_return finish(relay_end::client_fault);
    }
    if (read.bytes < scratch.size()) {
      rounds = 0;
      auto [error] = co_await client_.wait_readable();
      if (error) co_return finish(relay_end::client_lost);
    } else if (++rounds == rounds_before_yield) {
      rounds = 0;
      co_await asio::post(home_.context(), asio::deferred);
    }
  }
}

task<void> relay::pump_to_client() {
  const auto scratch = home_.scratch();
  int rounds = 0;
  while (end_ == relay_end::none) {
    const io_result read = server_.read_some(scratch);
    if (read.status == io_status::would_block) {
      auto [error] = co_await server_.wait_readable();
      if (error) finish(relay_end::server_lost);
      continue;
    }
    if (read.status == io_status::end) {
      finish(client_closed_ || traffic_.client_terminated() ? relay_end::client_left : relay_end::server_closed);
      break;
    }
    if (read.status == io_status::failed) {
      finish(client_closed_ || traffic_.client_terminated() ? relay_end::client_left : relay_end::server_lost);
      break;
    }
    const auto chunk = scratch.first(read.bytes);
    bytes_from_server_ += read.bytes;
    const auto verdict = traffic_.from_server(chunk);
    auto rest = chunk.first(verdict.forward);
    const io_result wrote = client_.write_some(rest);
    if (wrote.status == io_status::failed) {
      finish(relay_end::client_lost);
      break;
    }
    rest = rest.subspan(wrote.bytes);
    if (!rest.empty()) {
      const std::string aside(reinterpret_cast<const char*>(rest.data()), rest.size());
      client_write_cut_ = true;
      if (!co_await client_.write_all(as_bytes(aside))) {
        finish(relay_end::client_lost);
        break;
      }
      client_write_cut_ = false;
    }
    if (verdict.fault) {
      fault_ = verdict.fault;
      finish(relay_end::server_fault);
      break;
    }
    if (leave_when_idle_ && traffic_.idle()) {
      finish(relay_end::told_to_leave);
      break;
    }
    if (read.bytes < scratch.size()) {
      rounds = 0;
      auto [error] = co_await server_.wait_readable();
      if (error) finish(relay_end::server_lost);
    } else if (++rounds == rounds_before_yield) {
      rounds = 0;
      co_await asio::post(home_.context(), asio::deferred);
    }
  }
  to_client_done_ = true;
  if (joining_ != nullptr) joining_->cancel();
}

}  // namespace proxy
