#include "proxy/pool/server_connection.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "proxy/worker.hpp"

namespace proxy {
namespace {

// A pump that always finds a full scratch lets the other sessions of its worker run after this many rounds.
constexpr int rounds_before_yield = 8;

constexpr std::array<std::byte, 5> terminate{std::byte{'X'}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{4}};

}  // namespace

server_connection::server_connection(connection_id id, worker& home, std::shared_ptr<transport> io,
                                     std::shared_ptr<const cancel_target> cancel, lost_handler lost_while_idle)
    : id_(id),
      home_(&home),
      io_(std::move(io)),
      cancel_(std::move(cancel)),
      lost_while_idle_(std::move(lost_while_idle)),
      room_(std::in_place, home.context(), clock::time_point::max()) {}

server_connection::~server_connection() = default;

void server_connection::start() { asio::co_spawn(home().context(), pump(shared_from_this(), io_), asio::detached); }

task<void> server_connection::pump(std::shared_ptr<server_connection> self, std::shared_ptr<transport> io) {
  worker& here = self->home();
  int rounds = 0;
  while (io->is_open()) {
    const io_result read = io->read_some(here.scratch());
    if (read.status == io_status::end || read.status == io_status::failed) {
      co_return self->on_lost(read.status == io_status::failed);
    }
    if (read.status == io_status::done) self->on_bytes(here.scratch().first(read.bytes));
    while (io->is_open() && self->user_ != nullptr && !self->user_->has_room()) {
      co_await self->room_->async_wait(no_throw);
    }
    if (!io->is_open()) co_return;
    if (read.emptied) {
      rounds = 0;
      auto [error] = co_await io->wait_readable();
      if (error && io->is_open()) co_return self->on_lost(true);
    } else if (++rounds == rounds_before_yield) {
      rounds = 0;
      co_await asio::post(here.context(), asio::deferred);
    }
  }
}

void server_connection::on_bytes(std::span<const std::byte> chunk) {
  if (user_ != nullptr) {
    user_->on_server(chunk);
    return;
  }
  // To nobody: the server reports a setting that its configuration changed, or says why it is about to close. What it
  // means is not worth guessing.
  close();
  lost_while_idle_(id_);
}

void server_connection::on_lost(bool broken) {
  io_->close();
  if (user_ != nullptr) {
    std::exchange(user_, nullptr)->on_server_lost(broken);
  } else {
    lost_while_idle_(id_);
  }
}

void server_connection::send(const byte_run& bytes) {
  std::span<const std::byte> rest = bytes.bytes();
  if (rest.empty() || !is_open()) return;
  if (!unsent_.empty()) {
    unsent_ += pgwire::as_text(rest);
    return;
  }
  const io_result wrote = io_->write_some(rest);
  if (wrote.status == io_status::failed) return;  // reading finds out what the server said last
  rest = rest.subspan(wrote.bytes);
  if (rest.empty()) return;
  unsent_ = pgwire::as_text(rest);
  asio::co_spawn(home().context(), send_rest(shared_from_this(), io_), asio::detached);
}

task<void> server_connection::send_rest(std::shared_ptr<server_connection> self, std::shared_ptr<transport> io) {
  while (io->is_open() && !self->unsent_.empty()) {
    auto [error] = co_await io->wait_writable();
    if (error || !io->is_open()) break;
    const io_result wrote = io->write_some(pgwire::as_bytes(self->unsent_));
    if (wrote.status == io_status::failed) break;
    self->unsent_.erase(0, wrote.bytes);
  }
  self->unsent_ = {};
  if (self->user_ != nullptr) self->user_->on_server_sent();
}

void server_connection::close() {
  if (!is_open()) return;
  if (unsent_.empty()) static_cast<void>(io_->write_some(terminate));
  io_->close();
  if (room_) room_->cancel();
}

void server_connection::close_soon() {
  asio::post(home().context(), [self = shared_from_this()] {
    if (self->is_idle()) self->close();
  });
}

std::optional<transport::detached> server_connection::leave_worker() {
  if (!is_open() || !unsent_.empty() || !session.incoming.at_boundary()) return std::nullopt;
  auto stream = io_->detach();
  io_.reset();
  room_.reset();
  return stream;
}

void server_connection::enter_worker(worker& next, transport::detached&& stream) {
  home_.store(&next, std::memory_order_release);
  room_.emplace(next.context(), clock::time_point::max());
  io_ = std::make_shared<transport>(next.context());
  io_->adopt(std::move(stream));
  start();
}

}  // namespace proxy
