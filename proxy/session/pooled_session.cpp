#include "proxy/session/pooled_session.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup.hpp"
#include "proxy/session/placement.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// What may be set aside for a client before its server is not read any more.
constexpr std::size_t most_unsent = std::size_t{64} * 1024;

// How often it is looked whether a cancel request has arrived that was on its way when the lease ended.
constexpr std::chrono::milliseconds cancel_poll{5};

constexpr std::size_t secret_bytes_3_0 = 4;
constexpr std::size_t secret_bytes_3_2 = 32;

// Whole messages of a login's end: the settings in them.
parameters_ptr parameters_of(std::string_view greeting) {
  auto found = std::make_shared<parameter_map>();
  pgwire::frame_rules rules = pgwire::backend_rules();
  for (auto& rule : rules.of) {
    rule.most_length = INT32_MAX;
    rule.look = pgwire::frame_rules::attention::want_body;
  }
  pgwire::frame_cutter cutter(rules, greeting.size());
  cutter.feed(as_bytes(greeting));
  while (const auto* piece = cutter.peek()) {
    if (piece->type == pgwire::backend_type::parameter_status) {
      if (const auto status = pgwire::backend::parameter_status::decode(piece->body())) {
        (*found)[std::string(status->name)] = status->value;
      }
    }
    cutter.pop();
  }
  return found;
}

ending cancelled() {
  ending made = ending::fatal(sqlstate::query_canceled, "canceling statement due to user request");
  made.report.severity = "ERROR";
  return made;
}

ending of_client_fault(const traffic_fault& fault) {
  ending made = ending::of(fault.code);
  made.report.code = sqlstate::protocol_violation;
  return made;
}

}  // namespace

pooled_session::pooled_session(std::uint64_t id, worker& home, transport& client, message_reader& from_client,
                               host& around, request what)
    : id_(id),
      home_(home),
      client_(client),
      from_client_(from_client),
      around_(around),
      what_(std::move(what)),
      table_version_(home.current()->version),
      traffic_(id, home.statements()),
      bell_(home.context(), clock::time_point::max()) {}

pooled_session::~pooled_session() {
  drop_connection();
  if (permission_) pool_->hand_back(std::move(*permission_));
}

task<ending> pooled_session::run(std::shared_ptr<void> alive) {
  alive_ = alive;
  traffic_.set_terms(terms());
  auto over = co_await greet();
  if (!over) over = co_await converse();
  // What is pinned goes with the connection: locks and the like are to be gone now, not when somebody else comes.
  const bool reusable = connection_ && traffic_.idle() && traffic_.pins().empty();
  if (reusable) {
    connection_->session.worn = nullptr;
    traffic_.end_lease();
    give_back();
  }
  drop_connection();
  while (sending_) co_await sleep();
  co_return end_ ? *end_ : std::move(*over);
}

session_terms pooled_session::terms() const {
  routing::setting_list tenant = tenant_settings(what_.who, what_.where);
  for (auto& [name, value] : tenant) name = pgwire::canonical_setting_name(name);
  const auto own = own_settings(what_.startup, what_.who, what_.where);
  return {what_.where.tenant.str(), std::make_shared<const routing::session_state>(tenant, own),
          session_guard(what_.where)};
}

pool_key pooled_session::key() const {
  const routing::route& where = what_.where;
  const std::string& user = where.server->user.empty() ? what_.who.user : where.server->user;
  const std::string& dbname = !where.dbname.empty() ? where.dbname : what_.who.database ? *what_.who.database : user;
  return {dbname, user};
}

connection_wish pooled_session::wish() {
  const routing::route& where = what_.where;
  connection_wish made;
  made.who = id_;
  made.key = key();
  made.place = where.database;
  made.place_size = where.pool_size;
  made.tenant = where.tenant.str();
  made.tenant_connections = where.limits.connections;
  made.tenant_minimum = where.limits.min_connections.value_or(0);
  made.weight = where.limits.weight.value_or(1);
  made.state = traffic_.state()->fingerprint();
  made.worker = home_.number();
  made.only = traffic_.wants_last_connection() ? last_connection_ : 0;
  made.since = clock::now();
  return made;
}

// What a server says after a login, which needs one only the first time somebody starts like this.
task<std::optional<ending>> pooled_session::greet() {
  const auto cancel_key = make_cancel_key(static_cast<std::int32_t>(id_ & 0x7FFFFFFF),
                                          what_.long_cancel_key ? secret_bytes_3_2 : secret_bytes_3_0);
  cancel_ = home_.shared().cancels.add(cancel_key, nullptr);
  for (const auto& [name, value] : traffic_.state()->own()) {
    if (auto refused = session_guard(what_.where).refuses(name, {value})) {
      refused->severity = "FATAL";
      ending why = ending::fatal({}, {});
      why.report = std::move(*refused);
      co_return why;
    }
  }
  pool_ = home_.shared().pools.of(what_.where.server);
  const pool_key mine = key();
  parameters_ptr told = pool_->greeting(mine, *traffic_.state());
  if (!told) {
    auto leased = co_await lease();
    if (!leased) co_return std::move(leased.error());
    if (connection_ && traffic_.idle()) {  // it was worn already
      told = connection_->session.reported;
      traffic_.end_lease();
      give_back();
    }
    while (connection_ && !end_) co_await sleep();
    if (end_) co_return *end_;
    if (!traffic_.undressed_why().code.empty()) {
      ending refused = ending::fatal({}, {});
      refused.report = traffic_.undressed_why();
      refused.report.severity = "FATAL";
      co_return refused;
    }
    if (!told) told = traffic_.told();
    pool_->remember_greeting(mine, *traffic_.state(), told);
  }
  traffic_.greet(told);
  std::string greeting = pgwire::backend::authentication{}.encode();
  for (const auto& [name, value] : *told) greeting += pgwire::backend::parameter_status{name, value}.encode();
  greeting += pgwire::encode_backend_key_data(cancel_key);
  greeting += pgwire::backend::ready_for_query{}.encode();
  if (!co_await client_.write_all(as_bytes(greeting))) co_return ending::quiet("the client left");
  co_return std::nullopt;
}

task<std::optional<ending>> pooled_session::converse() {
  using step = pooled_traffic::step;
  const std::string early = std::exchange(early_, {}) + from_client_.rest();
  traffic_.feed_client(as_bytes(early));
  traffic_.keep_client();
  for (;;) {
    auto& [to_server, to_client] = home_.runs();
    to_server.clear();
    to_client.clear();
    const step next = traffic_.advance(to_server, to_client);
    if (connection_) connection_->send(to_server);
    send_to_client(to_client);
    if (end_) co_return *end_;
    switch (next) {
      case step::starved:
        traffic_.release_client();
        if (!co_await read_client()) co_return ending::quiet("the client left");
        break;
      case step::needs_lease:
        if (lease_at_once()) break;
        traffic_.keep_client();
        if (auto leased = co_await lease(); !leased) {
          ending& why = leased.error();
          if (why.report.severity == "FATAL" || !why.tell_client) co_return std::move(why);
          to_client.clear();
          traffic_.refuse(std::move(why.report), to_client);
          send_to_client(to_client);
        }
        break;
      case step::waits:
        traffic_.keep_client();
        co_await sleep();
        break;
      case step::terminated: co_return ending::quiet("the client left");
      case step::fault: co_return of_client_fault(*traffic_.fault());
    }
    if (end_) co_return *end_;
    if (when_idle_ && traffic_.idle()) co_return std::move(*when_idle_);
  }
}

// Waits for bytes of the client and feeds them. False: it has left, and nothing more can be done for it.
task<bool> pooled_session::read_client() {
  const auto scratch = home_.scratch();
  for (;;) {
    // What the server or the client has not taken yet is the measure of how much more is read.
    while (!end_ && ((connection_ && !connection_->sent()) || !unsent_.empty())) co_await sleep();
    if (end_ || (when_idle_ && traffic_.idle())) co_return true;
    if (client_closed_) {
      if (traffic_.answered() || traffic_.server_waits()) co_return false;
      co_await sleep();
      continue;
    }
    if (read_again_) {
      const io_result read = client_.read_some(scratch);
      read_again_ = !read.emptied;
      if (read.status == io_status::failed) co_return false;
      if (read.status == io_status::end) {
        client_closed_ = true;
        continue;
      }
      if (read.status == io_status::done) {
        traffic_.feed_client(scratch.first(read.bytes));
        co_return true;
      }
    }
    auto [error] = co_await client_.wait_readable();
    read_again_ = true;
    if (error && !end_ && !when_idle_) co_return false;
  }
}

// --- the lease ---

bool pooled_session::lease_at_once() {
  const bool held = what_.where.state == routing::tenant_state::held;
  if (table_version_ != home_.current()->version || when_idle_ || held) return false;
  if (!queue_) queue_ = std::make_shared<server_pool::wake_up>(home_.context().get_executor());
  auto granted = pool_->ask(wish(), queue_);
  if (!granted) {
    pool_->give_up(id_);
    return false;
  }
  if (granted->connection && &granted->connection->home() == &home_ && granted->connection->is_open()) {
    begin(std::move(granted->connection));
    return true;
  }
  permission_ = std::move(granted);
  return false;
}

task<std::expected<void, ending>> pooled_session::lease() {
  cancel_.set_waiting(true);
  auto leased = co_await wait_for_lease();
  cancel_.set_waiting(false);
  co_return leased;
}

task<std::expected<void, ending>> pooled_session::wait_for_lease() {
  using outcome = std::expected<void, ending>;
  if (when_idle_) co_return outcome(std::unexpected(std::move(*when_idle_)));
  if (auto gone = follow_table()) co_return outcome(std::unexpected(std::move(*gone)));
  if (auto gone = co_await hold()) co_return outcome(std::unexpected(std::move(*gone)));
  const clock::duration most = what_.where.limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
  const auto until = clock::now() + most;
  for (;;) {
    if (!queue_) queue_ = std::make_shared<server_pool::wake_up>(home_.context().get_executor());
    auto granted = permission_ ? std::exchange(permission_, std::nullopt) : pool_->ask(wish(), queue_);
    while (!granted) {
      if (end_ || cancel_.requested() || clock::now() >= until) {
        pool_->give_up(id_);
        if (cancel_.requested()) co_return outcome(std::unexpected(cancelled()));
        if (end_) co_return outcome(std::unexpected(*end_));
        ending late = ending::fatal(sqlstate::limit_exceeded, "no server connection became free in time",
                                    "The place \"" + what_.where.database + "\" of server \"" +
                                        what_.where.server->name + "\" had none to lend.",
                                    "Raise the pool's size, or the tenant's limits.connections, or try again later.");
        late.report.severity = "ERROR";
        co_return outcome(std::unexpected(std::move(late)));
      }
      static_cast<void>(co_await queue_->wait_until(until));
      granted = pool_->collect(id_);
    }
    queue_.reset();
    if (cancel_.requested()) {
      pool_->hand_back(std::move(*granted));
      co_return outcome(std::unexpected(cancelled()));
    }
    auto used = co_await use(std::move(*granted));
    if (!used) co_return used;
    if (connection_) co_return used;
  }
}

// Nothing leased and no error: the connection was lost, ask again.
task<std::expected<void, ending>> pooled_session::use(server_pool::permission what) {
  if (!what.connection) co_return co_await open(what.id);
  connection_ptr connection = std::move(what.connection);
  if (co_await pool_->bring_home(home_, connection)) {
    begin(std::move(connection));
  }
  co_return std::expected<void, ending>();
}

task<std::expected<void, ending>> pooled_session::open(connection_id id) {
  using outcome = std::expected<void, ending>;
  const auto pool = pool_;
  const auto& access = home_.current()->secrets->servers;
  const auto how = access.find(what_.where.server->name);
  if (how == access.end()) {
    pool->closed(id);
    co_return outcome(std::unexpected(ending::fatal(sqlstate::admin_shutdown, "the session's server is gone", {},
                                                    "Connect again to reach the new place.")));
  }
  auto credentials = around_.log_in_as(what_.where, *how->second);
  if (!credentials) {
    pool->closed(id);
    co_return outcome(std::unexpected(std::move(credentials.error())));
  }
  const pool_key mine = key();
  const server_login::request login{what_.where.server, how->second, std::move(*credentials),
                                    pgwire::encode_startup({3, 0}, {{"user", mine.user}, {"database", mine.dbname}}),
                                    home_.current()->settings->timeouts.connect};
  auto io = std::make_shared<transport>(home_.context());
  login_.emplace(home_, client_, from_client_, *io);
  auto entered = co_await login_->run(login);
  login_.reset();
  if (!entered) {
    pool->closed(id);
    co_return outcome(std::unexpected(std::move(entered.error())));
  }
  std::shared_ptr<const cancel_target> cancel;
  if (entered->cancel) cancel = std::make_shared<const cancel_target>(std::move(*entered->cancel));
  auto connection = std::make_shared<server_connection>(id, home_, std::move(io), std::move(cancel),
                                                        [pool](connection_id lost) { pool->closed(lost); });
  connection->session.worn = std::make_shared<const routing::session_state>();
  connection->session.reported = parameters_of(entered->greeting);
  pool->opened(connection);
  connection->start();
  early_ += entered->client_early;
  begin(std::move(connection));
  co_return outcome();
}

void pooled_session::begin(connection_ptr connection) {
  connection_ = std::move(connection);
  last_connection_ = connection_->id();
  connection_->lend(*this);
  cancel_.aim(connection_->cancel());
  byte_run dress;
  traffic_.begin_lease(connection_->session, dress);
  connection_->send(dress);
}

// The session has done with its connection, and it is clean.
void pooled_session::give_back() {
  connection_ptr connection = std::exchange(connection_, nullptr);
  cancel_.aim(nullptr);
  if (cancel_.busy()) {
    connection->end_lease();
    asio::co_spawn(home_.context(), return_when_safe(pool_, std::move(connection), alive_.lock()), asio::detached);
  } else {
    pool_->give_back(connection);
  }
}

// A cancel request is on its way to it: it must hit nobody else.
task<void> pooled_session::return_when_safe(std::shared_ptr<server_pool> pool, connection_ptr connection,
                                            std::shared_ptr<void>) {
  timer pause(home_.context());
  while (cancel_.busy()) {
    pause.expires_after(cancel_poll);
    co_await pause.async_wait(no_throw);
  }
  pool->give_back(connection);
}

void pooled_session::drop_connection() {
  if (!connection_) return;
  client_cut_ = client_cut_ || !traffic_.server_at_boundary();
  traffic_.end_lease();
  cancel_.aim(nullptr);
  connection_->end_lease();
  connection_->close();
  pool_->closed(std::exchange(connection_, nullptr)->id());
}

void pooled_session::on_server(std::span<const std::byte> chunk) {
  using outcome = pooled_traffic::outcome;
  auto& [to_server, to_client] = home_.runs();
  to_server.clear();
  to_client.clear();
  const outcome state = traffic_.from_server(chunk, to_client, to_server);
  connection_->send(to_server);
  switch (state) {
    case outcome::leased: break;
    case outcome::over:
      traffic_.end_lease();
      give_back();
      break;
    case outcome::undressed:
      spdlog::warn("{}: a server connection could not be dressed: {}", around_.name(),
                   traffic_.undressed_why().message);
      traffic_.explain_undressed(to_client);
      drop_connection();
      break;
    case outcome::lost_track:
      drop_connection();
      end_with(ending::fatal(sqlstate::internal_error, "the lodge lost track of the server's session", {},
                             "Connect again."));
      break;
  }
  send_to_client(to_client);
  wake();
}

void pooled_session::on_server_lost(bool) {
  client_cut_ = client_cut_ || !traffic_.server_at_boundary();
  traffic_.end_lease();
  cancel_.aim(nullptr);
  const connection_ptr lost = std::exchange(connection_, nullptr);
  pool_->closed(lost->id());
  if (traffic_.server_said_fatal()) {
    end_with(ending::quiet("the server ended the session"));
  } else {
    end_with(ending::fatal(sqlstate::connection_failure,
                           "the connection to server \"" + what_.where.server->name + "\" was lost"));
  }
}

bool pooled_session::has_room() const { return unsent_.size() < most_unsent; }

// --- the client ---

void pooled_session::send_to_client(const byte_run& bytes) {
  std::span<const std::byte> rest = bytes.bytes();
  if (rest.empty()) return;
  if (unsent_.empty()) {
    const io_result wrote = client_.write_some(rest);
    if (wrote.status == io_status::failed) return end_with(ending::quiet("the client's connection broke"));
    rest = rest.subspan(wrote.bytes);
    if (rest.empty()) return;
  }
  unsent_ += pgwire::as_text(rest);
  if (!std::exchange(sending_, true)) {
    asio::co_spawn(home_.context(), send_rest(this, alive_.lock()), asio::detached);
  }
}

task<void> pooled_session::send_rest(pooled_session* self, std::shared_ptr<void>) {
  while (!self->unsent_.empty() && self->client_.is_open()) {
    auto [error] = co_await self->client_.wait_writable();
    if (error) break;
    const io_result wrote = self->client_.write_some(as_bytes(self->unsent_));
    if (wrote.status == io_status::failed) break;
    self->unsent_.erase(0, wrote.bytes);
    if (self->has_room() && self->connection_) self->connection_->room_made();
  }
  const bool failed = !self->unsent_.empty();
  self->unsent_ = {};
  self->sending_ = false;
  if (failed) self->end_with(ending::quiet("the client's connection broke"));
  if (self->connection_) self->connection_->room_made();
  self->wake();
}

task<void> pooled_session::sleep() {
  if (end_ && !sending_) co_return;
  co_await bell_.async_wait(no_throw);
}

void pooled_session::end_with(ending why) {
  if (!end_) end_ = std::move(why);
  leave_now();
}

// --- from outside ---

// The table may place the session elsewhere by now: at its next transaction it goes there.
std::optional<ending> pooled_session::follow_table() {
  if (table_version_ == home_.current()->version) return std::nullopt;
  table_version_ = home_.current()->version;
  auto found = around_.look_up();
  if (!found) return std::move(found.error());
  const bool elsewhere = routing::place_changed(what_.where, *found) || what_.where.guard != found->guard;
  what_.where = std::move(*found);
  pool_ = home_.shared().pools.of(what_.where.server);
  if (elsewhere) traffic_.set_terms(terms());
  return std::nullopt;
}

task<std::optional<ending>> pooled_session::hold() {
  const auto until =
      clock::now() + clock::duration(what_.where.limits.wait.value_or(home_.current()->settings->timeouts.query_wait));
  while (what_.where.state == routing::tenant_state::held && !end_) {
    if (clock::now() >= until) {
      ending late = ending::fatal(sqlstate::limit_exceeded,
                                  "tenant \"" + what_.where.tenant.str() + "\" is held, and was not released in time",
                                  {}, "Try again later.");
      late.report.severity = "ERROR";
      co_return late;
    }
    bell_.expires_at(until);
    co_await bell_.async_wait(no_throw);
    bell_.expires_at(clock::time_point::max());
    if (auto gone = follow_table()) co_return gone;
  }
  co_return std::nullopt;
}

void pooled_session::on_publish() {
  follow_when_pinned();
  wake();
}

// What is pinned cannot be taken elsewhere: if its place has changed, it ends when it is next idle.
void pooled_session::follow_when_pinned() {
  if (!connection_ || traffic_.pins().empty() || table_version_ == home_.current()->version || when_idle_) return;
  const auto found = around_.look_up();
  if (!found) {
    leave_when_idle(found.error());
  } else if (routing::place_changed(what_.where, *found)) {
    leave_when_idle(ending::fatal(sqlstate::admin_shutdown, "tenant \"" + what_.where.tenant.str() + "\" has moved", {},
                                  "Connect again to reach the new place."));
  }
}

void pooled_session::leave_when_idle(ending why) {
  when_idle_ = std::move(why);
  if (traffic_.idle()) {
    client_.cancel();
    wake();
  }
}

void pooled_session::leave_now() {
  client_.cancel();
  cancel_waits();
}

void pooled_session::cancel_waits() {
  if (queue_) queue_->cancel();
  if (login_) login_->cancel();
  wake();
}

void pooled_session::on_tick(clock::time_point now) {
  if (login_) login_->on_tick(now);
  if (end_) leave_now();
  follow_when_pinned();
  if (when_idle_ && traffic_.idle()) client_.cancel();
  if (queue_ && cancel_.requested()) queue_->cancel();
  // A wake-up is lost on a wait that had not begun.
  wake();
}

}  // namespace proxy
