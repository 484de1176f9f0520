#include "proxy/pool/server_pool.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "proxy/auth/wait_point.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// How long a connection may be idle once another process could use it.
constexpr std::chrono::milliseconds makes_room_after{500};

// Greetings remembered for a server: a bound against clients that each start differently.
constexpr std::size_t most_greetings = 10'000;

}  // namespace

server_pool::server_pool(std::shared_ptr<const routing::server> server)
    : server_(std::move(server)), ledger_(server_->max_connections), random_(std::random_device{}()) {}

std::optional<server_pool::permission> server_pool::ask(connection_wish& wish, const seat_ptr& seat) {
  wish.who = seat->id();
  const std::scoped_lock lock(mutex_);
  const auto granted = ledger_.ask(wish, *seat);
  if (!granted) sit_down(wish, seat);
  carry_out(ledger_.granted());
  if (!granted) return std::nullopt;
  permission given = hand_over(*granted);
  if (given.connection || begin_attempt(given.id)) return given;
  sit_down(wish, seat);
  put_off_at(put_off_.end(), *seat, given.id);
  return std::nullopt;
}

// Under the mutex. Who sits is known to the pool until it has collected what it was granted.
void server_pool::sit_down(const connection_wish& wish, const seat_ptr& seat) {
  seat->wish_ = wish;
  seat->itself_ = seat;
  seated_.push_back(seat->link_);
}

void server_pool::get_up(pool_seat& seat) {
  seat.link_.leave();
  seat.granted_.reset();
  seat.itself_.reset();
}

std::optional<server_pool::permission> server_pool::collect(pool_seat& seat) {
  const std::scoped_lock lock(mutex_);
  if (!seat.granted_) return std::nullopt;
  std::optional<permission> mine = std::move(seat.granted_);
  mine->waited = true;
  get_up(seat);
  return mine;
}

void server_pool::give_up(pool_seat& seat) {
  std::optional<permission> unwanted;
  {
    const std::scoped_lock lock(mutex_);
    unwanted = std::move(seat.granted_);
    get_up(seat);
    if (unwanted) {
      // What it is lives on its own worker: see `hand_back`.
    } else if (const auto held = call_off(seat)) {
      carry_out(ledger_.closed(*held));
    } else if (ledger_.withdraw(seat)) {
      carry_out(ledger_.granted());
    }
  }
  if (unwanted) hand_back(std::move(*unwanted));
}

void server_pool::hand_back(permission unused) {
  if (!unused.connection) return closed(unused.id);
  // It lives where it lives: only there may it be touched.
  worker& there = unused.connection->home();
  asio::post(there.context(), [self = shared_from_this(), connection = std::move(unused.connection)] {
    self->give_back(connection, clock::now());
  });
}

// Under the mutex: who waits gets what the ledger grants, unless it has to wait for its attempt.
void server_pool::carry_out(const ledger::grants& granted) {
  for (const grant& each : granted) {
    pool_seat& seat = pool_seat::of(each.who);
    permission given = hand_over(each);
    if (given.connection || begin_attempt(given.id)) {
      deliver(seat, std::move(given));
    } else {
      put_off_at(put_off_.end(), seat, given.id);
    }
  }
}

void server_pool::deliver(pool_seat& to, permission what) {
  to.granted_ = std::move(what);
  to.call();
}

server_pool::permission server_pool::hand_over(const grant& what) {
  if (what.victim != 0) close_idle_now(what.victim);
  permission given{what.connection, nullptr, false};
  if (what.how == grant::kind::use) given.connection = std::move(idle_.find(what.connection)->second);
  return given;
}

void server_pool::close_idle_now(connection_id which) {
  const auto found = idle_.find(which);
  if (found == idle_.end()) return;
  if (found->second) found->second->close_soon();
  idle_.erase(found);
}

task<bool> server_pool::bring_home(worker& here, connection_ptr connection) {
  if (&connection->home() != &here) {
    using arrival = delivery<std::optional<transport::detached>>;
    auto arriving = std::make_shared<arrival>(here.context().get_executor());
    asio::post(connection->home().context(),
               [connection, to = std::weak_ptr(arriving)] { arrival::bring(to, connection->leave_worker()); });
    auto stream = co_await arriving->wait();
    if (!stream || !*stream) {
      closed(connection->id());
      co_return false;
    }
    connection->enter_worker(here, std::move(**stream));
  }
  if (connection->is_open()) co_return true;
  closed(connection->id());
  co_return false;
}

void server_pool::give_back(const connection_ptr& connection, clock::time_point now) {
  connection->end_lease();
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  if (!connection->is_open() || is_left(*connection) ||
      ledger_.should_close(connection->id(), std::max(opened_before_, reconnect_before_))) {
    connection->close();
    idle_.erase(connection->id());
    carry_out(ledger_.closed(connection->id()));
    return;
  }
  const auto& worn = connection->session.worn;
  idle_[connection->id()] = connection;
  carry_out(ledger_.give_back(connection->id(), worn ? worn->fingerprint() : 0, now));
  if (const auto surplus = ledger_.retire_surplus(connection->id())) close_idle_now(*surplus);
  lend_to_put_off();
}

void server_pool::closed(connection_id which) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  end_attempt(which);
  idle_.erase(which);
  carry_out(ledger_.closed(which));
}

void server_pool::retire(clock::time_point idle_before, clock::time_point opened_before) {
  const std::scoped_lock lock(mutex_);
  opened_before_ = opened_before;
  const auto oldest = std::max(opened_before, reconnect_before_);
  for (const connection_id which : ledger_.retire(idle_before, oldest)) close_idle_now(which);
}

void server_pool::close_idle() { retire(clock::time_point::max(), clock::time_point::max()); }

void server_pool::close_idle_of(const std::string& place) {
  const std::scoped_lock lock(mutex_);
  for (const connection_id which : ledger_.retire_place(place)) close_idle_now(which);
}

void server_pool::leave(const endpoint& where) {
  const std::scoped_lock lock(mutex_);
  if (closed_ || std::ranges::find(left_, where) != left_.end()) return;
  left_.push_back(where);
  std::vector<connection_id> there;
  for (const auto& [id, one] : idle_) {
    if (one && is_left(*one)) there.push_back(id);
  }
  for (const connection_id which : there) {
    close_idle_now(which);
    carry_out(ledger_.closed(which));
  }
}

void server_pool::return_to(const endpoint& where) {
  const std::scoped_lock lock(mutex_);
  std::erase(left_, where);
}

bool server_pool::is_left(const server_connection& one) const {
  return !left_.empty() && one.cancel() && std::ranges::find(left_, one.cancel()->server) != left_.end();
}

void server_pool::reconnect() {
  const std::scoped_lock lock(mutex_);
  reconnect_before_ = clock::now();
  for (const connection_id which : ledger_.retire(clock::time_point::min(), reconnect_before_)) close_idle_now(which);
}

void server_pool::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  idle_.clear();
  put_off_by_seat_.clear();
  put_off_.clear();
  while (pool_seat* seat = seated_.front()) {
    const auto kept = seat->itself_;
    ledger_.withdraw(*seat);
    get_up(*seat);
  }
}

parameters_ptr server_pool::greeting(const pool_key& key, const routing::session_state& start) const {
  const std::scoped_lock lock(mutex_);
  const auto found = greetings_.find({key, start.fingerprint()});
  return found == greetings_.end() ? nullptr : found->second;
}

void server_pool::remember_greeting(const pool_key& key, const routing::session_state& start, parameters_ptr reported) {
  const std::scoped_lock lock(mutex_);
  if (greetings_.size() >= most_greetings) greetings_.clear();
  greetings_[{key, start.fingerprint()}] = std::move(reported);
}

std::optional<pgwire::error_report> server_pool::refusal(const pool_key& key, const routing::session_state& wanted,
                                                         refused_states::who wants) {
  if (!any_refused_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  if (ledger_.has_idle(key, wanted.fingerprint())) return std::nullopt;
  return refused_.find(key, wanted, wants, clock::now());
}

void server_pool::remember_refusal(const pool_key& key, const routing::session_state_ptr& wanted,
                                   pgwire::error_report why) {
  if (!refused_states::is_lasting(why.code)) return;
  const std::scoped_lock lock(mutex_);
  refused_.add(key, wanted, std::move(why), clock::now());
  any_refused_ = true;
}

std::shared_ptr<server_pool> server_pools::of(const std::shared_ptr<const routing::server>& server) {
  const std::scoped_lock lock(mutex_);
  auto& known = by_name_[server->name];
  if (known && (known->server() == server || *known->server() == *server)) return known;
  if (known) {
    known->close_idle();
    std::erase_if(replaced_, [](const auto& pool) { return pool.expired(); });
    replaced_.push_back(known);
  }
  known = std::make_shared<server_pool>(server);
  return known;
}

// Those that were replaced have been told already, and for good.
void server_pools::retire(clock::time_point idle_before, clock::time_point opened_before) {
  if (makes_room_) idle_before = std::max(idle_before, clock::now() - makes_room_after);
  std::vector<std::shared_ptr<server_pool>> current;
  {
    const std::scoped_lock lock(mutex_);
    current.reserve(by_name_.size());
    for (const auto& [name, pool] : by_name_) current.push_back(pool);
  }
  for (const auto& pool : current) pool->retire(idle_before, opened_before);
}

void server_pools::on_tick() {
  for (const auto& pool : all()) pool->on_tick();
}

void server_pools::leave(const endpoint& where) {
  any_left_ = true;
  for (const auto& pool : all()) pool->leave(where);
}

void server_pools::return_to(const endpoint& where) {
  if (!any_left_) return;
  for (const auto& pool : all()) pool->return_to(where);
}

void server_pools::close() {
  for (const auto& pool : all()) pool->close();
}

std::vector<std::shared_ptr<server_pool>> server_pools::all() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<server_pool>> pools;
  pools.reserve(by_name_.size() + replaced_.size());
  for (const auto& [name, pool] : by_name_) pools.push_back(pool);
  for (const auto& pool : replaced_) {
    if (auto alive = pool.lock()) pools.push_back(std::move(alive));
  }
  return pools;
}

}  // namespace proxy
