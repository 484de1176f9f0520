#include "proxy/auth/admission.hpp"

#include <algorithm>

namespace proxy {

bool admission::has_place(const visitor& who) const {
  if (inside_ >= limits_.at_a_time) return false;
  if (!who.neighbourhood) return true;
  const auto found = by_neighbourhood_.find(*who.neighbourhood);
  return found == by_neighbourhood_.end() || found->second < limits_.of_one_neighbourhood;
}

void admission::enter(const visitor& who) {
  ++inside_;
  if (who.neighbourhood) ++by_neighbourhood_[*who.neighbourhood];
}

admission::answer admission::arrive(const visitor& who) {
  if (has_place(who)) {
    enter(who);
    return answer::enter;
  }
  if (queue_.size() >= limits_.waiting) return answer::refuse;
  queue_.push_back(who);
  return answer::wait;
}

std::optional<std::uint64_t> admission::leave(const visitor& who) {
  --inside_;
  if (who.neighbourhood) {
    const auto found = by_neighbourhood_.find(*who.neighbourhood);
    if (--found->second == 0) by_neighbourhood_.erase(found);
  }
  const auto next = std::ranges::find_if(queue_, [this](const visitor& one) { return has_place(one); });
  if (next == queue_.end()) return std::nullopt;
  const visitor entering = *next;
  queue_.erase(next);
  enter(entering);
  return entering.id;
}

void admission::give_up(std::uint64_t id) {
  std::erase_if(queue_, [id](const visitor& one) { return one.id == id; });
}

}  // namespace proxy
