#include "proxy/session/server_login.hpp"

#include <utility>

#include "protocol/saslprep.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup.hpp"
#include "proxy/desk/log_line.hpp"
#include "proxy/random.hpp"
#include "proxy/session/secure_server.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// What a server may say before its first ReadyForQuery: a few dozen parameters and notices.
constexpr std::size_t most_greeting = std::size_t{1024} * 1024;

std::string words(read_failure how) {
  switch (how) {
    case read_failure::end: return "it closed the connection during the login";
    case read_failure::broken: return "the connection broke during the login";
    case read_failure::malformed: break;
  }
  return "it sent something that is not the PostgreSQL protocol";
}

std::unique_ptr<server_login::failure> client_left() {
  return std::make_unique<server_login::failure>("the client left", ending::quiet("the client left during its login"),
                                                 false, false);
}

std::unique_ptr<server_login::failure> client_fault(pgwire::errc code) {
  return std::make_unique<server_login::failure>("the client broke the protocol", ending::of(code), false, false);
}

}  // namespace

server_login::server_login(worker& home, transport& client, message_reader& from_client, transport& server)
    : home_(home), client_(client), from_client_(from_client), server_(server), dial_(home, server) {}

task<std::expected<std::unique_ptr<server_login::entered>, server_login::refusal>> server_login::run(
    const request& what) {
  what_ = &what;
  const auto hosts = home_.shared().servers.in_order(what.server->hosts, clock::now());
  std::string details;
  bool outage = false;
  for (const routing::host& host : hosts) {
    const auto why = co_await try_host(host);
    if (!why) co_return std::move(entered_);
    // A lone host's own words say more than a list of one.
    const bool last_word = !why->try_next || (hosts.size() == 1 && !why->outage && !why->told.as_it_came.empty());
    if (last_word) {
      refusal final_one;
      final_one.told = why->of_lodge ? own_login_refused(why->why) : std::move(why->told);
      final_one.answered = why->answered;
      final_one.full = why->full;
      final_one.why = std::move(why->why);
      co_return std::unexpected(std::move(final_one));
    }
    outage = outage || why->outage;
    details += (details.empty() ? "" : "; ") + routing::to_string(host) + ": " + why->why;
  }
  refusal all;
  all.told = ending::out_of_reach(what.server->name, details);
  all.outage = outage;
  all.why = std::move(details);
  co_return std::unexpected(std::move(all));
}

task<server_login::failure_ptr> server_login::try_host(const routing::host& host) {
  start_clock();
  const auto addresses = co_await dial_.look_up(host);
  stop_clock();
  if (!addresses) {
    failure_ptr nowhere = down(addresses.error());
    remember(host, nowhere.get());
    co_return nowhere;
  }
  failure_ptr why = down("its name has no address");
  for (const endpoint& address : *addresses) {
    why = co_await try_address(host, address);
    if (!why || !why->try_next) break;
  }
  remember(host, why.get());
  co_return why;
}

// Null: it let somebody in. What it answers to one client tells no more of the host than that it is there.
void server_login::remember(const routing::host& host, const failure* why) const {
  server_memory& memory = home_.shared().servers;
  const auto now = clock::now();
  if (why == nullptr) return memory.saw(host, host_role::primary, now);
  if (why->standby) return memory.saw(host, host_role::standby, now);
  if (why->outage) return memory.saw(host, host_role::down, now, why->why);
  if (why->answered) memory.saw_answer(host, now);
  if (why->of_lodge || (why->try_next && !why->answered)) memory.saw_trouble(host, why->why, now);
}

// Whoever runs the lodge has to hear of it: the client cannot mend it.
ending server_login::own_login_refused(const std::string& why) const {
  const routing::server& server = *what_->server;
  home_.shared().servers.refused_login(server.name);
  desk::say_bounded(spdlog::level::err,
                    "server \"{}\" refuses the lodge's own login as \"{}\": {}; see servers.{}.user and its password",
                    server.name, server.user, why, server.name);
  return ending::fatal(sqlstate::connection_unestablished, "the lodge cannot log in at server \"" + server.name + "\"",
                       "The server refuses the lodge's own login: " + why,
                       "This is for the lodge's administrator to mend; it is not about the client's own password.");
}

task<server_login::failure_ptr> server_login::try_address(const routing::host& host, const endpoint& address) {
  const routing::tls_mode mode = what_->server->tls;
  auto over_tls = co_await connect_by(mode, host, address);
  if (!over_tls || mode != routing::tls_mode::prefer || !over_tls->plain_text_may_help) co_return over_tls;
  auto in_plain_text = co_await connect_by(routing::tls_mode::disable, host, address);
  // Refused both ways, the client is told what was said over TLS.
  if (in_plain_text && !over_tls->told.as_it_came.empty()) co_return over_tls;
  if (what_->how->first_in_plain_text()) {
    desk::say_bounded(spdlog::level::warn,
                      "server \"{}\": {} was tried in plain text, as tls.mode prefer says, for over TLS: {}",
                      what_->server->name, routing::to_string(host), over_tls->why);
  }
  co_return in_plain_text;
}

task<server_login::failure_ptr> server_login::connect_by(routing::tls_mode mode, const routing::host& host,
                                                         const endpoint& address) {
  start_clock();
  const auto connected = co_await dial_.connect(address);
  if (!connected) {
    stop_clock();
    const dial::not_connected& said = connected.error();
    co_return said.by_lodge ? unreachable(said.why) : down(said.why);
  }
  const auto secured = co_await secure_server(server_, *what_->how, mode, host.address);
  if (!secured) {
    stop_clock();
    const not_secured& said = secured.error();
    failure_ptr why = said.lost ? down(said.why) : unreachable(said.why);
    // A server that is silent is not asked again.
    why->plain_text_may_help = said.handshake_began && !overstayed_ && !cancelled_;
    co_return why;
  }
  failure_ptr why = co_await log_in(host, address);
  stop_clock();
  co_return why;
}

pgwire::login_fsm server_login::begin() {
  if (!what_->with) return {};
  std::optional<std::string> end_point;
  if (server_.tls()) end_point = server_end_point(server_.tls());
  if (end_point && end_point->empty()) end_point.reset();
  return {*what_->with, random_nonce(), std::move(end_point)};
}

task<server_login::failure_ptr> server_login::log_in(const routing::host& host, const endpoint& address) {
  using fsm = pgwire::login_fsm;
  fsm login = begin();
  message_reader from_server(home_, server_, pgwire::most_login_message);
  entered_ = std::make_unique<entered>();
  entered& result = *entered_;

  if (!co_await server_.write_all(as_bytes(what_->startup))) {
    co_return lost(login, words(read_failure::broken));
  }
  for (;;) {
    const auto message = co_await from_server.next();
    if (!message) {
      auto why = words(message.error());
      co_return message.error() == read_failure::malformed ? failed(login, std::move(why))
                                                           : lost(login, std::move(why));
    }
    auto action = login.on_server_message(message->type, message->body);
    if (const auto* slow = std::get_if<fsm::derive>(&action)) {
      const fsm::derive what = *slow;
      const auto salted = co_await derive(what);
      if (!salted) co_return failed(login, "the lodge has too many logins to compute");
      action = login.on_derived(*salted);
    }

    if (std::holds_alternative<fsm::keep>(action)) {
      result.greeting += message->wire;
      if (result.greeting.size() > most_greeting) co_return failed(login, "its greeting has no end");
    } else if (const auto* said = std::get_if<fsm::reply>(&action)) {
      if (!co_await server_.write_all(as_bytes(said->message.view()))) {
        co_return lost(login, words(read_failure::broken));
      }
    } else if (std::holds_alternative<fsm::proceed>(action)) {
      continue;
    } else if (std::holds_alternative<fsm::forward_to_client>(action) ||
               std::holds_alternative<fsm::ask_client>(action)) {
      const auto* asked = std::get_if<fsm::ask_client>(&action);
      result.greeting += asked != nullptr && !asked->instead.empty() ? std::string_view(asked->instead) : message->wire;
      if (what_->answered) what_->answered();
      const bool told = co_await client_.write_all(as_bytes(result.greeting));
      result.greeting.clear();
      if (!told) co_return client_left();
      if (asked != nullptr) {
        if (auto unanswered = co_await ask_client(login)) co_return unanswered;
      }
    } else if (const auto* key = std::get_if<fsm::key>(&action)) {
      // A cancel request goes as the session went.
      const auto mode = server_.tls() ? what_->server->tls : routing::tls_mode::disable;
      result.cancel = cancel_target{address, host.address, what_->how, mode, key->value};
    } else if (std::holds_alternative<fsm::ready>(action)) {
      if (login.standby()) {
        home_.shared().pools.leave(address);
        co_return standby(login);
      }
      home_.shared().pools.return_to(address);
      result.server = address;
      result.server_early = message->wire;  // before `rest`, which ends the view
      result.server_early += from_server.rest();
      result.client_early = from_client_.rest();
      co_return nullptr;
    } else if (const auto* error = std::get_if<fsm::server_error>(&action)) {
      co_return refused(*error, message->wire, login);
    } else if (const auto* wants = std::get_if<fsm::wants_secret>(&action)) {
      co_return wants_secret(wants->method);
    } else {
      const auto code = std::get<fsm::failed>(action).code;
      co_return failed(login, "its login failed: " + std::string(pgwire::describe(code).text));
    }
  }
}

// PBKDF2 takes milliseconds, so it is done elsewhere; for the server's own role once and for all.
task<std::optional<pgwire::secret_key>> server_login::derive(const pgwire::login_fsm::derive& what) {
  if (own_role()) {
    if (auto known = what_->how->salted_password(what.salt, what.iterations)) co_return known;
  }
  auto work = [password = *what_->with->password, what] {
    const auto prepared = pgwire::saslprep(password.view());
    return pgwire::salted_password(prepared.view(), pgwire::as_bytes(what.salt), what.iterations);
  };
  const auto salted = co_await home_.shared().computing.run(home_.context().get_executor(), std::move(work));
  if (!salted) co_return std::nullopt;
  if (own_role()) what_->how->remember(what.salt, what.iterations, *salted);
  co_return *salted;
}

// Takes the client's answer to the server. People type: only the startup's own deadline runs meanwhile.
task<server_login::failure_ptr> server_login::ask_client(pgwire::login_fsm& login) {
  stop_clock();
  const auto answer = co_await from_client_.next();
  start_clock();
  if (!answer) {
    if (answer.error() != read_failure::malformed) {
      if (login.plus_withheld()) {
        desk::say_bounded(spdlog::level::info,
                          "the client left when server \"{}\" asked for SCRAM: its channel binding, which some clients "
                          "demand, cannot pass through a lodge; another auth.method can offer the lodge's own",
                          what_->server->name);
      }
      co_return client_left();
    }
    co_return client_fault(pgwire::errc::bad_length);
  }
  if (const auto fault = login.on_client_message(answer->type, answer->body)) co_return client_fault(*fault);
  if (!co_await server_.write_all(as_bytes(answer->wire))) co_return lost(login, words(read_failure::broken));
  co_return nullptr;
}

server_login::failure_ptr server_login::unreachable(std::string why) const {
  if (overstayed_) why = "no answer in time";
  auto made = std::make_unique<failure>(why, ending{}, !cancelled_, false);
  made->told = ending::fatal(sqlstate::connection_unestablished,
                             "server \"" + what_->server->name + "\" could not be reached", std::move(why));
  return made;
}

// Nobody is there.
server_login::failure_ptr server_login::down(std::string why) const {
  failure_ptr made = unreachable(std::move(why));
  made->outage = !cancelled_;
  return made;
}

// Somebody was, until just now.
server_login::failure_ptr server_login::lost(const pgwire::login_fsm& login, std::string why) const {
  failure_ptr made = failed(login, std::move(why));
  made->outage = made->try_next;
  return made;
}

server_login::failure_ptr server_login::failed(const pgwire::login_fsm& login, std::string why) const {
  failure_ptr made = unreachable(std::move(why));
  made->try_next = made->try_next && !login.client_involved();
  return made;
}

server_login::failure_ptr server_login::standby(const pgwire::login_fsm& login) const {
  failure_ptr made = failed(login, "it is a standby");
  made->standby = true;
  made->outage = made->try_next;
  if (!made->try_next) {
    made->told = ending::fatal(sqlstate::cannot_connect_now,
                               "the server that let you in is a standby of \"" + what_->server->name + "\"", {},
                               "Connect again: the lodge now tries the other hosts first.");
  }
  return made;
}

server_login::failure_ptr server_login::wants_secret(const std::string& method) const {
  auto made = std::make_unique<failure>("it asks for a password (" + method + ")", ending{}, false, false);
  made->answered = true;
  made->of_lodge = own_role();
  made->told = ending::fatal(sqlstate::connection_unestablished,
                             "server \"" + what_->server->name + "\" asks for a password (" + method + ") of role \"" +
                                 what_->with->role + "\", and the lodge has none to give",
                             {},
                             "Use auth.method passthrough, give the server a user and a password_file, or let it trust "
                             "the lodge in pg_hba.conf.");
  return made;
}

server_login::failure_ptr server_login::refused(const pgwire::login_fsm::server_error& error,
                                                std::string_view as_it_came, const pgwire::login_fsm& login) const {
  const bool untold = !login.client_involved();
  const bool not_now = error.sqlstate == sqlstate::cannot_connect_now || error.sqlstate == sqlstate::admin_shutdown ||
                       error.sqlstate == sqlstate::crash_shutdown;
  auto made = std::make_unique<failure>(error.message, ending{}, not_now && untold, false, not_now && untold);
  made->answered = !made->outage;
  made->full = error.sqlstate == sqlstate::too_many_connections && untold;
  made->of_lodge = own_role() && untold && error.sqlstate.starts_with(sqlstate::class_invalid_authorization);
  made->told.as_it_came = as_it_came;
  made->told.report.message = error.message;
  made->told.report.code = error.sqlstate;
  // What pg_hba.conf refuses over TLS it may let in without.
  made->plain_text_may_help = server_.tls() && error.sqlstate == sqlstate::invalid_authorization && untold;
  return made;
}

void server_login::start_clock() {
  overstayed_ = false;
  attempt_ends_ = clock::now() + what_->connect_timeout;
}

void server_login::on_tick(clock::time_point now) {
  if (now < attempt_ends_) return;
  // The stamp stays: should the wait have ended by itself at this very moment, the next tick ends the one after it.
  overstayed_ = true;
  dial_.cancel();
}

void server_login::cancel() {
  cancelled_ = true;
  dial_.cancel();
}

}  // namespace proxy
