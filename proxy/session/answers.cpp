#include "proxy/session/answers.hpp"

#include <algorithm>

namespace proxy {

bool expected_answers::swallow_syncs() {
  if (empty()) return false;
  const auto behind = all_.begin() + static_cast<std::ptrdiff_t>(head_) + 1;
  const auto end = std::find_if(behind, all_.end(), [](const expected_answer& at) { return at.after_copy; });
  const auto is_sync = [](const expected_answer& at) { return at.what == expected_answer::kind::sync; };
  const auto swallowed = std::remove_if(behind, end, is_sync);
  if (swallowed == end) return false;
  all_.erase(swallowed, end);
  return true;
}

}  // namespace proxy
