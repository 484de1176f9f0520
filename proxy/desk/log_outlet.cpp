#include "proxy/desk/log_outlet.hpp"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace proxy::desk {

// A line that was torn is ended first, or the next would go on in the middle of it.
bool log_outlet::write(std::string_view line) {
  if (is_torn_ && !put("\n")) return false;
  return put(line);
}

bool log_outlet::put(std::string_view text) {
  using std::chrono::milliseconds;
  using clock = std::chrono::steady_clock;
  const auto until = clock::now() + (is_stuck_ ? milliseconds(0) : patience);
  while (!text.empty()) {
    const auto left = std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - clock::now()));
    pollfd room{descriptor_, POLLOUT, 0};
    const int found = ::poll(&room, 1, static_cast<int>(left.count()));
    const auto written =
        found > 0 ? ::write(descriptor_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF)) : -1;
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      is_torn_ = !text.empty();
      continue;
    }
    const bool may_yet = found == 0 || errno == EINTR || errno == EAGAIN;
    if (may_yet && clock::now() < until) continue;
    is_stuck_ = may_yet;
    return false;
  }
  is_stuck_ = false;
  return true;
}

}  // namespace proxy::desk
