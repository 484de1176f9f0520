#include "proxy/desk/log_repeats.hpp"

namespace proxy::desk {

bool log_repeats::passes(const place& from, int level, std::string_view text, std::size_t most, clock::time_point now) {
  kind& one = kinds_.try_emplace(from, kind{now, 0, 0, level, {}}).first->second;
  if (one.written < most) {
    ++one.written;
    return true;
  }
  if (one.held++ == 0) {
    one.level = level;
    one.first_held = text.substr(0, most_quoted);
  }
  return false;
}

std::vector<log_repeats::summary> log_repeats::due(clock::time_point now) {
  std::vector<summary> told;
  for (auto at = kinds_.begin(); at != kinds_.end();) {
    kind& one = at->second;
    const bool over = now - one.since >= window;
    if (over && one.held == 0) {
      at = kinds_.erase(at);
      continue;
    }
    if (over) {
      told.push_back(sum_up(one, now));
      one.held = 0;  // the line that says so is this window's
      one.since = now;
    }
    ++at;
  }
  return told;
}

std::vector<log_repeats::summary> log_repeats::rest(clock::time_point now) {
  std::vector<summary> told;
  for (const auto& [from, one] : kinds_) {
    if (one.held > 0) told.push_back(sum_up(one, now));
  }
  kinds_.clear();
  return told;
}

log_repeats::summary log_repeats::sum_up(const kind& of, clock::time_point now) {
  const auto seconds = std::chrono::round<std::chrono::seconds>(now - of.since).count();
  return {of.level,
          std::to_string(of.held) + " more like it in the last " + std::to_string(seconds) + " s: " + of.first_held};
}

}  // namespace proxy::desk
