#include "proxy/session/pooled_session.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "proxy/memory_watch.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// Of a message that is gathered, so much may come before memory is looked at again.
constexpr std::size_t unseen_growth = std::size_t{16} << 20;

}  // namespace

pooled_session::pooled_session(std::uint64_t id, worker& home, transport& client, message_reader& from_client,
                               host& around, session_meter& meter, pooled_standing standing)
    : id_(id),
      home_(home),
      client_(client),
      from_client_(from_client),
      around_(around),
      meter_(meter),
      place_(home.places().of(std::move(standing))),
      table_version_(home.current()->version),
      traffic_(id, home.statements()),
      bell_(home.context()),
      to_client_([this] {
        if (connection_ && has_room()) connection_->room_made();
        wake();
      }) {}

pooled_session::~pooled_session() { drop_connection(); }

task<seldom<ending>> pooled_session::greet(std::shared_ptr<void> alive, std::size_t cancel_secret_bytes) {
  alive_ = alive;
  traffic_.set_terms(place_->terms);
  traffic_.begin_speech(who());
  listen_to_table();
  watch_statements();
  const auto cancel_key = make_cancel_key(static_cast<std::int32_t>(id_ & 0x7FFFFFFF), cancel_secret_bytes);
  cancel_ = home_.shared().cancels.add(cancel_key, nullptr);
  pool_ = home_.shared().pools.of(where().server);
  parameters_ptr told;
  if (auto failed = co_await get_parameters(told)) co_return failed;
  traffic_.greet(told);
  greeting_until_ = clock::now() + home_.current()->settings->timeouts.startup;
  std::string greeting = encode_greeting(*told);
  greeting += pgwire::encode_backend_key_data(cancel_key);
  greeting += pgwire::backend::ready_for_query{}.encode();
  if (!co_await client_.write_all(as_bytes(greeting))) co_return ending::quiet("the client left");
  greeting_until_ = clock::time_point::max();
  greeted_ = true;
  // What the client has sent already waits for `converse`.
  const std::string early = early_.take().value_or(std::string()) + from_client_.rest();
  traffic_.feed_client(as_bytes(early));
  traffic_.keep_client();
  co_return std::nullopt;
}

// What a server says after a login, which needs one only the first time somebody starts like this.
task<seldom<ending>> pooled_session::get_parameters(parameters_ptr& told) {
  if (auto unfit = why_unfit(*place_)) co_return std::move(*unfit);
  // What a connection reports may be what functions left there: it is told within the tenant only.
  pool_key like = place_->wish.key;
  like.start = place_->wish.tenant;
  told = pool_->greeting(like, *traffic_.state());
  if (told) co_return std::nullopt;
  do {
    greeting_until_ = clock::time_point::max();
    if (auto why = co_await lease()) co_return why->as_fatal();
    if (connection_) connection_->send(home_.runs().to_server);
    greeting_until_ = clock::now() + home_.current()->settings->timeouts.startup;
    if (connection_ && traffic_.idle()) {  // it was worn already
      told = connection_->session.reported;
      traffic_.end_lease();
      give_back(clock::now());
    }
    while (connection_ && !end_) co_await sleep();
    if (end_) co_return *end_;
  } while (traffic_.begins_again());
  if (const auto* why = traffic_.undressed_why()) {
    ending refused = ending::fatal({}, {});
    refused.report = *why;
    co_return refused.as_fatal();
  }
  if (!told) told = traffic_.told();
  pool_->remember_greeting(like, *traffic_.state(), told);
  co_return std::nullopt;
}

// The frame of this coroutine is what an idle session keeps, beside its members: whatever else it needs is to be in
// functions, or in coroutines that end. Each place that waits has room of its own in it, so there is one to sleep at.
task<seldom<ending>> pooled_session::converse() {
  using step = pooled_traffic::step;
  enum class stage : std::uint8_t { advances, sends, reads, leases };
  stage at = stage::advances;
  bool sleeps = false;   // before it goes on
  bool yields = false;   // likewise
  bool grew = false;     // likewise
  bool dresses = false;  // what a lease began with is in the run
  std::optional<waiting_for> mark;
  client_.may_use_ring();
  for (;;) {
    if (std::exchange(yields, false)) co_await give_way();
    if (std::exchange(grew, false)) co_await be_looked_at();
    if (std::exchange(sleeps, false)) co_await sleep();
    if (end_ && at == stage::advances) co_return *end_;
    switch (at) {
      case stage::advances: {
        const step next = advance(std::exchange(dresses, false));
        if (end_) co_return *end_;
        switch (next) {
          case step::starved:
            traffic_.release_client();
            at = stage::reads;
            continue;
          case step::over:
            traffic_.end_lease();
            give_back(clock::now());
            break;
          case step::names_tenant: go_or_refuse(); break;
          case step::needs_lease:
            dresses = true;
            if (lease_at_once()) break;
            traffic_.keep_client();
            mark.emplace(*this);
            at = stage::leases;
            sleeps = only_waits();
            continue;
          case step::waits:
            traffic_.keep_client();
            sleeps = true;
            continue;
          case step::full:
            traffic_.keep_client();
            at = stage::sends;
            continue;
          case step::terminated: co_return ending::quiet("the client left");
          case step::fault: co_return ending::of(*traffic_.fault(), "The client");
        }
        break;
      }
      case stage::sends:
        sleeps = connection_ && !connection_->sent() && !end_;
        if (sleeps) continue;
        at = stage::advances;
        yields = true;
        break;
      case stage::reads:
        switch (read_client()) {
          case reading::waits_lodge: sleeps = true; continue;
          case reading::waits_client: {
            auto [error] = co_await client_.wait_readable();
            read_again_ = true;
            if (error && !end_ && !when_idle_) co_return ending::quiet("the client left");
            continue;
          }
          case reading::over: co_return ending::quiet("the client left");
          case reading::paused: yields = true; break;
          case reading::grown: grew = true; break;
          case reading::fed: break;
        }
        at = stage::advances;
        if (begins_ && connection_ && meter_.is_paced(where().limits)) {
          traffic_.keep_client();
          co_await pay_debt();
        }
        break;
      case stage::leases:
        at = stage::advances;
        if (lease_when_called()) {
          mark.reset();
          break;
        }
        if (auto why = co_await lease_in_turn()) {
          dresses = false;
          if (!survives(*why)) co_return why;
          // Where there is no new connection, what was wrong with the old one is the client's to hear.
          if (traffic_.begins_again() && why->report.severity == "FATAL") why->report = *traffic_.undressed_why();
          refuse(std::move(why->report));
          become_due();
          yields = true;  // the next may come to the same
        }
        mark.reset();
        break;
    }
    if (end_) co_return *end_;
    if (when_idle_ && traffic_.idle()) co_return *when_idle_;
  }
}

// What the client said goes on its way, as far as it can. `dressing`: behind what a lease began with.
pooled_traffic::step pooled_session::advance(bool dressing) {
  around_.stirs();
  auto& [to_server, to_client] = home_.runs();
  if (!dressing) to_server.clear();
  to_client.clear();
  traffic_.make_room(connection_ && !traffic_.answered() && meter_.leased_for(clock::now()) >= longest_turn &&
                     pool_->count().waiting > 0);
  const auto next = traffic_.advance(to_server, to_client);
  follow_rounds();
  if (connection_) connection_->send(to_server);
  send_to_client(to_client);
  return next;
}

// The others have their turn first.
task<void> pooled_session::give_way() { co_await asio::post(home_.context(), asio::deferred); }

// It may be ended for what it has made the lodge hold already.
task<void> pooled_session::be_looked_at() {
  const auto seen = std::make_shared<bool>(false);
  home_.shared().memory->look_for([seen, rings = door_bell(), &loop = home_.context()] {
    asio::post(loop, [seen, rings] {
      *seen = true;
      if (const auto there = rings.lock()) there->ring();
    });
  });
  while (!*seen && !end_) co_await sleep();
}

void pooled_session::go_or_refuse() {
  if (auto refused = go_to(traffic_.named())) refuse(std::move(refused->report));
}

// A message of the client's comes to nothing.
void pooled_session::refuse(pgwire::error_report why) {
  auto& [to_server, to_client] = home_.runs();
  to_server.clear();
  to_client.clear();
  traffic_.refuse(std::move(why), to_server, to_client);
  if (connection_) connection_->send(to_server);
  send_to_client(to_client);
}

// Whether the session goes on after it was given no connection. Where another tenant lives may be out of reach: it goes
// on as whose it was. So it does where it had one that could not be dressed, and there is no other.
bool pooled_session::survives(const ending& no_lease) const {
  const bool goes_on = no_lease.report.severity != "FATAL" || traffic_.moves() || traffic_.begins_again();
  return goes_on && no_lease.tell_client && !end_;
}

// Reads the client, unless something has to be waited for first, and feeds what it said to the traffic.
pooled_session::reading pooled_session::read_client() {
  for (;;) {
    // What the server or the client has not taken yet is the measure of how much more is read.
    if (!end_ && ((connection_ && !connection_->sent()) || !to_client_.empty())) return reading::waits_lodge;
    if (end_ || (when_idle_ && traffic_.idle()) || traffic_.begins_again()) return reading::fed;
    if (client_closed_) {
      return traffic_.answered() || traffic_.server_waits() ? reading::over : reading::waits_lodge;
    }
    if (read_again_) {
      const io_result read = client_.read_some(home_.scratch());
      meter_.bytes_in(read.bytes);
      read_again_ = !read.emptied;
      if (read.status == io_status::failed) return reading::over;
      if (read.status == io_status::done) return feed(home_.scratch().first(read.bytes));
      client_closed_ = read.status == io_status::end;
      if (client_closed_) continue;
    }
    rounds_ = 0;
    return reading::waits_client;
  }
}

pooled_session::reading pooled_session::feed(std::span<const std::byte> said) {
  begins_ = traffic_.idle();
  const bool grows = grows_by(said.size());
  traffic_.feed_client(said);
  if (++rounds_ < rounds_before_yield && !grows) return reading::fed;
  rounds_ = 0;  // what it says next is read when the others have had their turn
  read_again_ = true;
  traffic_.keep_client();
  return grows ? reading::grown : reading::paused;
}

bool pooled_session::grows_by(std::size_t bytes) const {
  const std::size_t before = traffic_.gathered();
  return before / unseen_growth != (before + bytes) / unseen_growth && home_.current()->settings->resources.memory;
}

task<ending> pooled_session::leave(seldom<ending> over) {
  if (!end_) end_ = std::move(over);
  // What is pinned goes with the connection: locks and the like are to be gone now, not when somebody else comes.
  const bool reusable = connection_ && traffic_.idle() && traffic_.pins().empty();
  if (reusable) {
    connection_->session.worn = nullptr;
    traffic_.end_lease();
    give_back(clock::now());
  }
  drop_connection();
  const auto until = clock::now() + most_lingering;
  while (!to_client_.empty() && client_.is_open() && clock::now() < until) co_await sleep();
  client_cut_ = client_cut_ || !to_client_.empty() || to_client_.cut();
  to_client_.give_up();
  client_.cancel();
  co_return *end_;
}

// --- the client ---

void pooled_session::send_to_client(const byte_run& bytes) {
  if (bytes.empty()) return;
  meter_.bytes_out(bytes.bytes().size());
  const auto alive = alive_.lock();
  const std::shared_ptr<transport> to(alive, &client_);
  if (!to_client_.send(home_.context().get_executor(), to, bytes.bytes(), alive)) {
    leave_now(ending::quiet("the client's connection broke"));
  }
}

task<void> pooled_session::sleep_until(clock::time_point then) {
  timer alarm(home_.context(), then);
  alarm.async_wait([rings = door_bell()](error_code error) {
    const auto there = rings.lock();
    if (there && !error) there->ring();
  });
  co_await sleep();
}

// --- from outside ---

std::optional<std::string> pooled_session::application_name() const {
  if (!traffic_.told()) return std::nullopt;
  const auto found = traffic_.told()->find("application_name");
  return found == traffic_.told()->end() ? std::nullopt : std::optional(found->second);
}

void pooled_session::on_publish() {
  listen_to_table();
  // Limits hold at once, whatever else waits for the next transaction.
  if (const auto now = around_.look_up(who())) obey(*now);
  watch_statements();
  follow_when_pinned();
  wake();  // who waits for a connection asks anew, of wherever the table says now
}

void pooled_session::leave_when_idle(ending why) {
  when_idle_ = std::move(why);
  if (traffic_.idle()) {
    client_.cancel();
    wake();
  }
}

void pooled_session::leave_now(ending why) {
  if (!end_) end_ = std::move(why);
  client_.cancel();
  cancel_waits();
}

void pooled_session::cancel_waits() {
  if (login_) login_->cancel();
  wake();
}

// What a busy session has at hand for its next transaction, one that is idle does not keep. Gives whether it is idle.
bool pooled_session::keep_little() {
  const std::uint32_t now = traffic_.moment().transactions;
  const bool rests = std::exchange(seen_transactions_, now) == now && !connection_ && !waiting_since_;
  if (!rests || !traffic_.idle()) return false;
  seat_.reset();
  traffic_.keep_little();
  return true;
}

// Of one that keeps little: its client has everything and is waited for, and nothing that it used is untold.
bool pooled_session::rests() const {
  return greeted_ && !login_ && to_client_.empty() && !client_closed_ && !end_ && !when_idle_;
}

std::optional<clock::time_point> pooled_session::on_tick(clock::time_point now) {
  if (login_) login_->on_tick(now);
  keep_limits(now);
  tell_of_waiting(now);
  if (now >= greeting_until_ && !end_) {
    leave_now(ending::fatal(sqlstate::query_canceled, "the startup took too long", "timeouts.startup has passed."));
  }
  // Nobody reads the client meanwhile, so nobody else finds out.
  const bool waits_without_reading = waiting_since_ || greeting_until_ != clock::time_point::max();
  if (waits_without_reading && !end_ && client_.peer_closed()) leave_now(ending::quiet("the client left"));
  if (end_) cancel_waits();
  follow_when_pinned();
  if (when_idle_ && traffic_.idle()) client_.cancel();
  const bool idle = keep_little();
  // Deadlines of waits are looked at, and a wake-up is lost on a wait that had not begun.
  wake();
  return idle && rests() ? time_.idle_since() : std::nullopt;
}

}  // namespace proxy
