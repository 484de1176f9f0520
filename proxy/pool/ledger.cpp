#include "proxy/pool/ledger.hpp"

#include <algorithm>
#include <utility>

namespace proxy {

namespace {

// As many as PgBouncer's default_pool_size.
constexpr std::size_t most_left{20};

// How many of a tenant's line are looked at for one of the connection's worker.
constexpr std::size_t most_passed{16};

}  // namespace

// --- who asks ---

std::optional<grant> ledger::ask(const connection_wish& wish, waiter& who) {
  request asked{.who = wish.who,
                .of = tenants_.enrol(wish.tenant),
                .in = places_.enrol(wish.place),
                .from = pools_.enrol(wish.key),
                .state = wish.state,
                .worker = wish.worker,
                .only = wish.only,
                .takes_no_idle = wish.takes_no_idle(),
                .own = wish.own,
                .since = wish.since};
  const bool other_terms = adopt(asked.of, {wish.tenant_connections, wish.tenant_minimum, wish.weight});
  const bool other_size = adopt(*asked.in, wish.place_size);
  if (other_terms || other_size) serve_waiting(owed_);

  tenant& of = *asked.of;
  place& in = *asked.in;
  if (can_serve(of, in)) {
    queue_.charge(of);
    return serve(std::move(asked));
  }
  if (who.waits()) return std::nullopt;
  who.wish_ = std::move(asked);
  pool& from = *who.wish_.from;
  from.waiters.push_back(who.by_pool_);
  ++from.waiting;
  queue_.push(who, of, in);
  return std::nullopt;
}

bool ledger::withdraw(waiter& who) {
  if (!who.waits()) return false;
  queue_.withdraw(who);
  static_cast<void>(step_out(who));
  return true;
}

ledger::request ledger::step_out(waiter& who) {
  who.by_pool_.leave();
  --who.wish_.from->waiting;
  return std::move(who.wish_);
}

bool ledger::has_more_than_reserved() const {
  if (!most_) return true;
  if (is_full()) return false;
  const std::uint64_t free = *most_ - lent_;
  return free > std::min<std::uint64_t>(reserved_, *most_ - 1);
}

bool ledger::can_serve(const tenant& of, const place& in) const {
  if (is_full() || !in.open) return false;
  switch (of.stands) {
    case fair_queue::standing::barred: return false;
    case fair_queue::standing::ordinary: return has_more_than_reserved();
    case fair_queue::standing::guaranteed: return true;
  }
  return false;
}

void ledger::serve_waiting(grants& served) {
  while (!queue_.empty() && !is_full()) {
    auto* const next = queue_.next(!has_more_than_reserved());
    if (next == nullptr) return;
    serve(*next, served);
  }
}

void ledger::serve_next(const connection& returned, time_point now, grants& served) {
  if (queue_.empty() || is_full()) return;
  auto* const next = queue_.next(!has_more_than_reserved());
  if (next != nullptr) serve(nearest(*next, returned, now), served);
}

// Whoever is first, or one behind it who lives where the connection does. Nobody waits more than twice as long as one
// who was let pass, so the connections spread over the workers as their clients need them.
fair_queue::waiter& ledger::nearest(fair_queue::waiter& first, const connection& to, time_point now) {
  const auto waited_since = static_cast<waiter&>(first).wish_.since;
  auto* const near = fair_queue::among_first(first, most_passed, [&](fair_queue::waiter& each) {
    const request& wish = static_cast<waiter&>(each).wish_;
    return wish.worker == to.worker && wish.from.get() == to.from.get() && (now - wish.since) * 2 >= now - waited_since;
  });
  return near != nullptr ? *near : first;
}

void ledger::serve(fair_queue::waiter& next, grants& served) {
  auto& who = static_cast<waiter&>(next);
  queue_.take(who);
  served.push_back(serve(step_out(who)));
}

// A connection that comes back goes to the next of the same tenant, while its turn lasts: it wears the clothes already.
// But whoever has no connection at all comes first. Whether it went.
bool ledger::serve_same_tenant(const connection& one, time_point now, grants& served) {
  if (queue_.empty() || is_full() || now - one.turn >= longest_turn) return false;
  const bool guaranteed_only = !has_more_than_reserved();
  auto* const fairest = queue_.next(guaranteed_only);
  auto* const same = queue_.next_of(*one.of, *one.in, guaranteed_only);
  if (fairest == nullptr || same == nullptr || fair_queue::flow_of(*fairest).lent == 0) return false;
  auto& next = nearest(*same, one, now);
  if (static_cast<waiter&>(next).wish_.from.get() != one.from.get()) return false;
  serve(next, served);
  return true;
}

// --- how a wish is granted ---

// One who can be served: so there is an idle connection to close wherever there is no room for one more.
grant ledger::serve(request&& wish) {
  grant given{.how = grant::kind::use, .who = wish.who};
  connection* one = wish.takes_no_idle ? nullptr : choose_idle(wish);
  if (one != nullptr) {
    leave_idle(*one);
  } else {
    given.how = grant::kind::open;
    pooled* victim = nullptr;
    if (wish.in->is_full()) {
      victim = wish.in->idle.front();
    } else if (most_ && connections_.size() >= *most_) {
      victim = idle_.by_age().front();
    }
    if (victim != nullptr) {
      given.how = grant::kind::replace;
      given.victim = victim->id;
      forget_idle(static_cast<connection&>(*victim));
    }
    one = &create(wish);
  }
  given.connection = one->id;
  lend(*one, std::move(wish));
  return given;
}

ledger::connection* ledger::choose_idle(const request& wish) {
  const bool full = wish.in->is_full();
  if (wish.only != 0) {
    const auto found = connections_.find(wish.only);
    if (found != connections_.end() && found->second.is == status::idle &&
        found->second.from.get() == wish.from.get() && (!full || found->second.in.get() == wish.in.get())) {
      return &found->second;
    }
  }
  return static_cast<connection*>(idle_.choose({.pool = wish.from.get(),
                                                .tenant = wish.of.get(),
                                                .state = wish.state,
                                                .worker = wish.worker,
                                                .only_of = full ? wish.in.get() : nullptr}));
}

ledger::connection& ledger::create(const request& wish) {
  const connection_id id = next_connection_++;
  connection& one = connections_.try_emplace(id).first->second;
  one.id = id;
  one.is = status::connecting;
  one.opened = wish.since;  // until `opened` says better
  one.own = wish.own;
  one.from = wish.from;
  one.in = wish.in;
  ++one.from->total;
  ++one.from->opening;
  ++one.in->total;
  ++wish.of->opening;
  ++opening_;
  return one;
}

void ledger::lend(connection& one, request&& wish) {
  if (one.in.get() != wish.in.get()) {  // it comes over
    --one.in->total;
    ++wish.in->total;
  }
  // Of `since` when nobody had to wait, else when the one before came back.
  if (one.of.get() != wish.of.get()) one.turn = std::max(wish.since, one.idle_since);
  one.of = std::move(wish.of);
  one.in = std::move(wish.in);
  one.worker = wish.worker;
  if (one.is == status::idle) one.is = status::lent;
  count_lent(*one.of, *one.in, true);
}

// --- connections ---

void ledger::opened(connection_id which, time_point now) {
  const auto found = connections_.find(which);
  if (found == connections_.end() || found->second.is != status::connecting) return;
  connection& one = found->second;
  one.is = status::lent;
  one.opened = now;
  --one.from->opening;
  --one.of->opening;
  --opening_;
}

ledger::grants ledger::give_back(connection_id which, std::uint64_t state, time_point now) {
  grants served = granted();
  const auto found = connections_.find(which);
  if (found == connections_.end() || found->second.is == status::idle) return served;
  connection& one = found->second;
  if (one.is == status::connecting) opened(which, now);
  end_lease(one);
  one.state = state;
  one.idle_since = now;
  come_idle(one);
  if (!serve_same_tenant(one, now, served)) serve_next(one, now, served);
  serve_waiting(served);
  return served;
}

ledger::grants ledger::closed(connection_id which) {
  grants served = granted();
  const auto found = connections_.find(which);
  if (found == connections_.end()) return served;
  connection& one = found->second;
  if (one.is != status::idle) {
    if (one.is == status::connecting) opened(which, one.opened);
    end_lease(one);
    come_idle(one);
  }
  forget_idle(one);
  serve_waiting(served);
  return served;
}

bool ledger::should_close(connection_id which, time_point opened_before) const {
  const auto found = connections_.find(which);
  if (found == connections_.end()) return true;
  const connection& one = found->second;
  const place& in = *one.in;
  return one.opened < opened_before || (most_ && lent_ > *most_) || (in.size && in.lent > *in.size);
}

std::vector<connection_id> ledger::retire(time_point idle_before, time_point opened_before) {
  std::vector<connection*> idle;  // the least recently used first
  idle.reserve(idle_.size());
  for (pooled& one : idle_.by_age()) idle.push_back(static_cast<connection*>(&one));
  std::vector<connection_id> retired;
  const auto retire_if = [&](const auto& must_leave) {
    std::erase_if(idle, [&](connection* one) {
      if (!must_leave(*one)) return false;
      retired.push_back(one->id);
      forget_idle(*one);
      return true;
    });
  };
  retire_if([&](const connection& one) { return one.idle_since < idle_before || one.opened < opened_before; });
  retire_if([](const connection& one) { return one.in->size && one.in->total > *one.in->size; });
  retire_if([this](const connection&) { return most_ && connections_.size() > *most_; });
  return retired;
}

std::optional<connection_id> ledger::retire_surplus(connection_id which) {
  const auto found = connections_.find(which);
  if (found == connections_.end()) return std::nullopt;
  const place& in = *found->second.in;
  if (most_ || in.size || in.left_count <= most_left) return std::nullopt;
  connection& oldest = *in.left.front();
  const connection_id id = oldest.id;
  forget_idle(oldest);
  return id;
}

std::vector<connection_id> ledger::retire_place(const std::string& name) {
  std::vector<connection*> idle;
  for (pooled& one : idle_.by_age()) {
    auto* here = static_cast<connection*>(&one);
    if (here->in->name() == name) idle.push_back(here);
  }
  std::vector<connection_id> retired;
  for (connection* one : idle) {
    retired.push_back(one->id);
    forget_idle(*one);
  }
  return retired;
}

void ledger::end_lease(connection& one) {
  one.is = status::idle;
  count_lent(*one.of, *one.in, false);
}

void ledger::come_idle(connection& one) {
  one.pool = one.from.get();
  one.place = one.in.get();
  one.tenant = one.of.get();
  ++one.from->idle_count;
  idle_.enter(one);
  if (!one.was_one_sessions()) return;
  one.in->left.push_back(one.among_left);
  ++one.in->left_count;
}

void ledger::leave_idle(connection& one) {
  idle_.leave(one);
  --one.from->idle_count;
  if (!one.was_one_sessions()) return;
  one.among_left.leave();
  --one.in->left_count;
}

void ledger::forget_idle(connection& one) {
  leave_idle(one);
  --one.from->total;
  --one.in->total;
  connections_.erase(one.id);
}

}  // namespace proxy
