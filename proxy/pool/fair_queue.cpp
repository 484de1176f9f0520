#include "proxy/pool/fair_queue.hpp"

#include <algorithm>

namespace proxy {

void fair_queue::push(waiter& who, flow& of, gate& before) {
  if (of.waiting == 0) of.virtual_time_ = std::max(of.virtual_time_, virtual_time_);
  auto found = std::ranges::find(of.lines_, &before, [](const auto& one) { return one->before_; });
  const bool first = found == of.lines_.end();
  if (first) found = of.lines_.insert(found, std::unique_ptr<line>(new line(of, before)));
  who.line_ = found->get();
  who.arrival_ = next_arrival_++;
  who.line_->waiters_.push_back(who.link_);
  ++of.waiting;
  ++size_;
  if (first) reposition(*who.line_);
}

void fair_queue::withdraw(waiter& who) {
  line& left = *who.line_;
  const bool was_first = left.waiters_.front() == &who;
  step_out(who);
  if (was_first) reposition(left);
  close_if_empty(left);
}

void fair_queue::take(waiter& who) {
  line& left = *who.line_;
  charge(*left.of_);
  step_out(who);
  reposition(*left.of_);
  close_if_empty(left);
}

void fair_queue::step_out(waiter& who) {
  who.link_.leave();
  --std::exchange(who.line_, nullptr)->of_->waiting;
  --size_;
}

void fair_queue::close_if_empty(line& one) {
  if (!one.waiters_.empty()) return;
  std::erase_if(one.of_->lines_, [&one](const auto& each) { return each.get() == &one; });
}

void fair_queue::charge(flow& of) {
  if (of.waiting == 0) of.virtual_time_ = std::max(of.virtual_time_, virtual_time_);
  virtual_time_ = std::max(virtual_time_, of.virtual_time_);
  of.virtual_time_ += std::max<std::uint64_t>(1, cost_of_grant / of.weight);
}

fair_queue::waiter* fair_queue::next(bool guaranteed_only) const {
  const auto& [ordinary, guaranteed] = open_sides_;
  const auto* from = &guaranteed;
  if (!guaranteed_only && !ordinary.empty() && (guaranteed.empty() || ordinary.best_rank() < guaranteed.best_rank())) {
    from = &ordinary;
  }
  if (from->empty()) return nullptr;
  return from->best().lines.best().waiters_.front();
}

fair_queue::waiter* fair_queue::next_of(const flow& of, const gate& before, bool guaranteed_only) const {
  const auto may = guaranteed_only ? of.stands == standing::guaranteed : of.stands != standing::barred;
  if (!before.open || !may) return nullptr;
  const auto found = std::ranges::find(of.lines_, &before, [](const auto& one) { return one->before_; });
  return found != of.lines_.end() ? (*found)->waiters_.front() : nullptr;
}

void fair_queue::reposition(flow& changed) {
  for (const auto& one : changed.lines_) reposition(*one);
}

void fair_queue::reposition(gate& changed) {
  for (auto& side : changed.sides) {
    if (!side.lines.empty()) refresh(changed, side);
  }
}

void fair_queue::reposition(line& one) {
  const flow& of = *one.of_;
  gate_side* to = nullptr;
  if (!one.waiters_.empty() && of.stands != standing::barred) {
    to = &one.before_->sides[of.stands == standing::guaranteed ? 1 : 0];
  }
  if (one.in_ != nullptr && one.in_ != to) {
    one.in_->lines.erase(one);
    refresh(*one.before_, *one.in_);
  }
  one.in_ = to;
  if (to == nullptr) return;
  to->lines.set(one, {of.lent, of.weight, of.virtual_time_, one.waiters_.front()->arrival_});
  refresh(*one.before_, *to);
}

// Brings what the top knows of this side up to date.
void fair_queue::refresh(const gate& of, gate_side& side) {
  auto& top = open_sides_[&side == of.sides.data() ? 0 : 1];
  if (of.open && !side.lines.empty()) {
    top.set(side, side.lines.best_rank());
  } else {
    top.erase(side);
  }
}

}  // namespace proxy
