// Who may open a connection, and when: what `connect_gate` says, carried out. And what a pool tells of itself, where
// those who were put off count as waiting, whatever the ledger thinks, and so do those of whom it does not know:
// whoever the server itself has no room for.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_set>
#include <utility>

#include "proxy/pool/server_pool.hpp"

namespace proxy {
namespace {

// How many of those who were put off are looked at when a connection comes idle: a bound on the time under the mutex.
constexpr std::size_t most_looked_at = 64;

// An attempt of the lodge's own, in the place of a connection's: the ledger gives no such number.
constexpr connection_id own_look = 0;

void count_as_waiting(ledger::totals& in) {
  --in.lent;
  --in.opening;
  ++in.waiting;
}

}  // namespace

// --- attempts ---

bool server_pool::begin_attempt(connection_id which) {
  // Nobody passes those who wait already.
  if (!put_off_.empty()) return false;
  const auto begun = gate_.try_begin(clock::now());
  if (begun) attempts_[which] = *begun;
  return begun.has_value();
}

// Without having shown anything, if it is still under way.
void server_pool::end_attempt(connection_id which) {
  if (attempts_.erase(which) == 0) return;
  gate_.abandoned();
  let_try();
}

void server_pool::answer(connection_id which) {
  if (attempts_.erase(which) == 0) return;
  if (gate_.failing()) {
    spdlog::info("server \"{}\" answers again, after {} failed attempt(s)", server_->name, gate_.failures());
  }
  gate_.answered();
  let_try();
}

void server_pool::opened(connection_id which) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  ledger_.opened(which, clock::now());
  answer(which);
}

void server_pool::answered(connection_id which) {
  const std::scoped_lock lock(mutex_);
  if (!closed_) answer(which);
}

void server_pool::failed(connection_id which, std::string why) {
  const std::scoped_lock lock(mutex_);
  const auto found = attempts_.find(which);
  if (closed_ || found == attempts_.end()) return;
  const connect_gate::attempt attempt = found->second;
  attempts_.erase(found);
  last_tried_ = clock::now();
  const std::uint64_t before = gate_.failures();
  const double random =
      static_cast<double>(random_() - std::minstd_rand::min()) / (static_cast<double>(std::minstd_rand::max()) + 1);
  gate_.failed(attempt, clock::now(), random, std::move(why));
  // Once for each doubling, so that a long outage does not fill the log.
  if (gate_.failures() > before && std::has_single_bit(gate_.failures())) {
    spdlog::warn("server \"{}\" is out of reach, attempt {}, {} wait(s): {}", server_->name, gate_.failures(),
                 put_off_.size() + ledger_.count().waiting, gate_.why());
  }
}

std::optional<std::string> server_pool::out_of_reach() const {
  const std::scoped_lock lock(mutex_);
  if (!gate_.failing()) return std::nullopt;
  return gate_.why();
}

bool server_pool::begin_look(clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  const clock::duration every = server_->health_check;
  if (closed_ || !gate_.failing() || every == clock::duration::zero() || now < last_tried_ + every) return false;
  if (!put_off_.empty() || !attempts_.empty() || !begin_attempt(own_look)) return false;
  last_tried_ = now;
  return true;
}

void server_pool::found(look how, std::string why) {
  switch (how) {
    case look::answered: return answered(own_look);
    case look::out_of_reach: return failed(own_look, std::move(why));
    case look::showed_nothing: break;
  }
  const std::scoped_lock lock(mutex_);
  if (!closed_) end_attempt(own_look);
}

// --- those who were put off ---

void server_pool::try_later(connection_id which, connection_wish& wish, const seat_ptr& seat) {
  wish.who = seat->id();
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  sit_down(wish, seat);
  put_off_at(put_off_.begin(), *seat, which);
}

void server_pool::put_off_at(put_off_list::iterator where, pool_seat& seat, connection_id which) {
  put_off_by_seat_[&seat] = put_off_.insert(where, {&seat, which});
}

// The place it holds, if it was put off.
std::optional<connection_id> server_pool::call_off(const pool_seat& seat) {
  const auto found = put_off_by_seat_.find(&seat);
  if (found == put_off_by_seat_.end()) return std::nullopt;
  const connection_id held = found->second->id;
  put_off_.erase(found->second);
  put_off_by_seat_.erase(found);
  return held;
}

void server_pool::let_try() {
  while (!put_off_.empty()) {
    const auto begun = gate_.try_begin(clock::now());
    if (!begun) return;
    const put_off next = put_off_.front();
    put_off_by_seat_.erase(next.seat);
    put_off_.pop_front();
    attempts_[next.id] = *begun;
    deliver(*next.seat, {next.id, nullptr});
  }
}

// A connection has come idle, and nobody in the queue could use it.
void server_pool::lend_to_put_off() {
  std::size_t looked_at = 0;
  for (auto at = put_off_.begin(); at != put_off_.end() && looked_at < most_looked_at; ++at, ++looked_at) {
    pool_seat& seat = *at->seat;
    if (seat.wish_.takes_no_idle() || !ledger_.has_idle(seat.wish_.key)) continue;
    const auto held = call_off(seat);
    carry_out(ledger_.closed(*held));
    const auto granted = ledger_.ask(seat.wish_, seat);
    carry_out(ledger_.granted());
    if (!granted) return;  // it waits in the queue now
    permission given = hand_over(*granted);
    if (given.connection) return deliver(seat, std::move(given));
    return put_off_at(put_off_.begin(), seat, given.id);
  }
}

void server_pool::on_tick() {
  const std::scoped_lock lock(mutex_);
  if (!closed_) let_try();
  if (!any_refused_) return;
  refused_.forget_old(clock::now());
  any_refused_ = !refused_.empty();
}

// --- what it tells ---

std::vector<server_pool::connection_report> server_pool::connections() const {
  const std::scoped_lock lock(mutex_);
  std::unordered_set<connection_id> not_there;
  for (const put_off& one : put_off_) not_there.insert(one.id);
  std::vector<connection_report> all;
  for (ledger::connection_report& one : ledger_.connections()) {
    if (not_there.contains(one.id)) continue;
    connection_report& made = all.emplace_back();
    static_cast<ledger::connection_report&>(made) = std::move(one);
    made.close_needed = made.is != ledger::status::connecting && made.opened < reconnect_before_;
    const auto found = idle_.find(made.id);
    if (found != idle_.end() && found->second) made.at = found->second->cancel();
  }
  return all;
}

std::vector<ledger::pool_totals> server_pool::totals() const {
  const std::scoped_lock lock(mutex_);
  auto pools = ledger_.pools();
  std::map<pool_key, ledger::pool_totals*> by_key;
  if (!put_off_.empty()) {
    for (auto& pool : pools) by_key[pool.key] = &pool;
  }
  for (const put_off& one : put_off_) {
    const auto found = by_key.find(one.seat->wish_.key);
    if (found == by_key.end()) continue;
    ledger::pool_totals& pool = *found->second;
    count_as_waiting(pool);
    const auto since = one.seat->wish_.since;
    pool.waiting_since = std::min(pool.waiting_since.value_or(since), since);
  }
  return pools;
}

ledger::totals server_pool::count(const std::string& tenant) const {
  const std::scoped_lock lock(mutex_);
  auto totals = ledger_.count(tenant);
  for (const put_off& one : put_off_) {
    if (one.seat->wish_.tenant == tenant) count_as_waiting(totals);
  }
  return totals;
}

bound server_pool::bound_of(const std::string& tenant, const std::string& place) const {
  const std::scoped_lock lock(mutex_);
  return ledger_.bound_of(tenant, place);
}

ledger::totals server_pool::count() const {
  const std::scoped_lock lock(mutex_);
  auto totals = ledger_.count();
  totals.lent -= put_off_.size();
  totals.opening -= put_off_.size();
  totals.waiting += put_off_.size() + crowded_out_.value();
  return totals;
}

}  // namespace proxy
