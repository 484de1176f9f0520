#include "proxy/pool/server_connection.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "protocol/frontend_messages.hpp"
#include "proxy/worker.hpp"

namespace proxy {

server_connection::server_connection(connection_id id, worker& home, std::shared_ptr<transport> io,
                                     std::shared_ptr<const cancel_target> cancel, lost_handler lost_while_idle)
    : id_(id),
      home_(&home),
      io_(std::move(io)),
      cancel_(std::move(cancel)),
      lost_while_idle_(std::move(lost_while_idle)),
      to_server_([this] {
        if (to_server_.empty() && user_ != nullptr) user_->on_server_sent();
      }),
      room_(std::in_place, home.context(), clock::time_point::max()) {}

server_connection::~server_connection() = default;

void server_connection::start() {
  io_->may_use_ring();
  auto ended = [self = shared_from_this()](const std::exception_ptr& failure) {
    if (!failure) return;
    spdlog::critical("reading a server ended by an exception, which is a defect of the lodge or a lack of memory");
    if (self->is_open()) self->on_lost();
  };
  asio::co_spawn(home().context(), pump(shared_from_this(), io_), std::move(ended));
}

task<void> server_connection::pump(std::shared_ptr<server_connection> self, std::shared_ptr<transport> io) {
  worker& here = self->home();
  int rounds = 0;
  while (io->is_open()) {
    const io_result read = io->read_some(here.scratch());
    if (read.status == io_status::end || read.status == io_status::failed) {
      co_return self->on_lost();
    }
    if (read.status == io_status::done) self->on_bytes(here.scratch().first(read.bytes));
    while (io->is_open() && self->user_ != nullptr && !self->user_->has_room()) {
      co_await self->room_->async_wait(no_throw);
    }
    if (!io->is_open()) co_return;
    if (read.emptied) {
      rounds = 0;
      auto [error] = co_await io->wait_readable();
      if (error && io->is_open()) co_return self->on_lost();
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

void server_connection::on_lost() {
  if (io_) io_->close();
  if (user_ != nullptr) {
    std::exchange(user_, nullptr)->on_server_lost();
  } else {
    lost_while_idle_(id_);
  }
}

void server_connection::send(const byte_run& bytes) {
  if (bytes.empty() || !is_open()) return;
  // If it is broken, reading finds out what the server said last.
  static_cast<void>(to_server_.send(home().context().get_executor(), io_, bytes.bytes(), shared_from_this()));
}

void server_connection::close() {
  if (!is_open()) return;
  if (sent()) static_cast<void>(io_->write_some(pgwire::as_bytes(pgwire::frontend::terminate{}.encode())));
  io_->close();
  if (room_) room_->cancel();
}

void server_connection::close_soon() {
  asio::post(home().context(), [self = shared_from_this()] {
    if (self->is_idle()) self->close();
  });
}

std::optional<transport::detached> server_connection::leave_worker() {
  const bool clean = is_open() && sent() && session.incoming.at_boundary();
  auto stream = clean ? io_->detach() : std::nullopt;
  if (!stream) close();
  if (io_) io_->close();
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
