#include "proxy/console/console_session.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/worker.hpp"

namespace proxy::console {

namespace sqlstate = pgwire::sqlstate;

namespace {

// How long a slice of an answer may stay unread.
constexpr std::chrono::minutes most_unread{5};

}  // namespace

console_session::console_session(worker& home, transport& client, message_reader& from_client, request what)
    : home_(home),
      client_(client),
      from_client_(from_client),
      what_(std::move(what)),
      talk_(what_.user),
      clerk_(home, *home.shared().house, what_.name + ", user " + what_.user,
             [this] { return end_.has_value() || cancel_.requested(); }) {}

task<ending> console_session::run() {
  if (!co_await greet()) co_return end_ ? *end_ : ending::quiet("the client left");
  ending why = co_await converse();
  co_return end_ ? *end_ : why;
}

task<bool> console_session::greet() {
  const auto key = make_cancel_key(static_cast<std::int32_t>(what_.id & 0x7FFFFFFF),
                                   what_.long_cancel_key ? secret_bytes_3_2 : secret_bytes_3_0);
  cancel_ = home_.shared().cancels.add(key, nullptr);
  std::string greeting = pgwire::backend::authentication{}.encode();
  for (const auto& [name, value] : reported_settings()) {
    greeting += pgwire::backend::parameter_status{name, value}.encode();
  }
  greeting += pgwire::encode_backend_key_data(key);
  greeting += pgwire::backend::ready_for_query{}.encode();
  co_return co_await write(greeting);
}

task<ending> console_session::converse() {
  using step = conversation::step;
  early_ = from_client_.rest();
  talk_.feed(as_bytes(early_));
  std::string out;
  for (;;) {
    if (end_) co_return *end_;
    const step next = talk_.advance(out);
    // The bytes at hand are the worker's scratch, which is somebody else's after the next wait.
    if (next != step::starved) talk_.keep();
    if (!out.empty() && !co_await write(out)) co_return ending::quiet("the client left");
    switch (next) {
      case step::starved:
        early_ = {};
        if (when_idle_ && talk_.idle()) co_return *when_idle_;
        if (!co_await read()) co_return ending::quiet("the client left");
        break;
      case step::goes_on: co_await yield(); break;
      case step::asks:
        if (!may()) co_return barred();
        co_await carry_out();
        break;
      case step::terminated: co_return ending::quiet("the client left");
      case step::fault: co_return ending::of(talk_.fault());
    }
  }
}

// Who may do it is looked at here, behind the last wait: the settings may have changed since its client said it.
task<void> console_session::carry_out() {
  if (auto refused = why_not(may().value_or(privilege::looking), what_.user, talk_.asked())) {
    talk_.answer_with(answer::refused(std::move(*refused)));
    co_return;
  }
  busy_ = true;
  cancel_.forget_requests();
  cancel_.set_waiting(true);
  answer made = co_await clerk_.carry_out(talk_.asked());
  cancel_.set_waiting(false);
  busy_ = false;
  talk_.answer_with(std::move(made));
  co_await yield();  // many commands in one text leave the other sessions their turn
}

std::optional<privilege> console_session::may() const {
  return privilege_of(home_.current()->settings->admin, what_.user);
}

ending console_session::barred() const {
  return ending::fatal(sqlstate::admin_shutdown, "terminating connection due to administrator command",
                       no_business(what_.user).message + " any more.",
                       "admin.users and admin.stats_users of pglodge.yaml have changed.");
}

// All of it, or the stream is cut.
task<bool> console_session::write(std::string& out) {
  writing_since_ = clock::now();
  const bool written = co_await client_.write_all(as_bytes(out));
  writing_since_.reset();
  out.clear();
  cut_ = cut_ || !written;
  co_return written;
}

// False: the client has left, and nothing of it is left over.
task<bool> console_session::read() {
  const auto scratch = home_.scratch();
  for (;;) {
    if (end_ || (when_idle_ && talk_.idle())) co_return true;
    const io_result got = client_.read_some(scratch);
    switch (got.status) {
      case io_status::done: talk_.feed(scratch.first(got.bytes)); co_return true;
      case io_status::end:
      case io_status::failed: co_return false;
      case io_status::would_block:
        reading_ = true;
        co_await client_.wait_readable();
        reading_ = false;
    }
  }
}

task<void> console_session::yield() { co_await asio::post(home_.context().get_executor(), asio::deferred); }

void console_session::leave_when_idle(ending why) {
  when_idle_ = std::move(why);
  if (reading_ && talk_.idle()) client_.cancel();
}

void console_session::leave_now(ending why) {
  if (!end_) end_ = std::move(why);
  client_.cancel();
  cancel_waits();
}

// The RELOAD that bars its own session is answered first.
void console_session::on_publish() {
  if (!when_idle_ && !may()) leave_when_idle(barred());
}

void console_session::cancel_waits() { clerk_.cancel(); }

void console_session::on_tick(clock::time_point now) {
  if (busy_ && !end_ && client_.peer_closed()) leave_now(ending::quiet("the client left"));
  if (end_ || (busy_ && cancel_.requested())) cancel_waits();
  if (when_idle_ && reading_ && talk_.idle()) client_.cancel();
  // What a client does not take holds a whole table, and perhaps one that is not in force any more.
  if (writing_since_ && now - *writing_since_ > most_unread && !end_) {
    cut_ = true;
    leave_now(ending::quiet("the client stopped reading"));
  }
}

}  // namespace proxy::console
