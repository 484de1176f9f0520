#include "proxy/session/answers.hpp"

#include <cstddef>

namespace proxy {

expected_answers::copy_start expected_answers::start_copy(std::uint32_t ends, names_in_doubt& naming) {
  copy_start start;
  expected_answer& copying = all_[head_];
  ++copying.copies;
  std::uint32_t ended = 0;
  for (std::size_t at = head_ + 1; at < all_.size();) {
    ended += all_[at].after_copies;
    start.ended = ended >= copying.copies;
    if (start.ended) return start;
    const bool sync = all_[at].what == expected_answer::kind::sync;
    if (!sync && all_[at].what != expected_answer::kind::answer) return start;
    if (sync) {
      naming.answered(all_[at]);
      all_.erase(all_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    start.swallowed = start.swallowed || sync;
    at += sync ? 0 : 1;
  }
  start.ended = ended + ends >= copying.copies;
  return start;
}

}  // namespace proxy
