#include "proxy/session/answers.hpp"

#include <cstddef>

namespace proxy {

expected_answers::copy_start expected_answers::start_copy(std::uint32_t ends, names_in_doubt& naming) {
  copy_start start;
  expected_answer& copying = all_[head_];
  ++copying.copies;
  std::uint32_t ended = 0;
  std::size_t kept = head_ + 1;
  std::size_t at = kept;
  bool goes_on = true;
  for (; at < all_.size(); ++at) {
    ended += all_[at].after_copies;
    start.ended = ended >= copying.copies;
    const bool sync = all_[at].what == expected_answer::kind::sync;
    goes_on = !start.ended && (sync || all_[at].what == expected_answer::kind::answer);
    if (!goes_on) break;
    if (sync) {
      naming.answered(all_[at]);
      --readies_;
      start.swallowed = true;
    } else {
      if (kept != at) all_[kept] = std::move(all_[at]);
      ++kept;
    }
  }
  const auto begin = all_.begin();
  all_.erase(begin + static_cast<std::ptrdiff_t>(kept), begin + static_cast<std::ptrdiff_t>(at));
  if (goes_on) start.ended = ended + ends >= copying.copies;
  return start;
}

}  // namespace proxy
