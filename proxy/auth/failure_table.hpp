// How often each of many has failed of late: those who had a minute's peace are forgotten. Pure: the time is an
// argument.
//
// What must hold: the table is bounded. When it is full, who failed longest ago is forgotten first.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <utility>

namespace proxy {

template <class Key>
class failure_table {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t most = std::size_t{16} * 1024;
  static constexpr std::chrono::seconds peace{60};

  struct record {
    std::uint32_t failures = 0;  ///< stays at its maximum
    clock::time_point last;
  };

  /// How many they are with this one.
  std::uint32_t add(const Key& who, clock::time_point now) {
    record next{1, now};
    if (const auto known = by_key_.find(who); known != by_key_.end()) {
      const record& old = known->second->second;
      if (!is_forgotten(old, now)) next.failures = std::max(old.failures, old.failures + 1);
      by_time_.erase(known->second);
      by_key_.erase(known);
    }
    while (!by_time_.empty() && (by_time_.size() >= most || is_forgotten(by_time_.front().second, now))) {
      by_key_.erase(by_time_.front().first);
      by_time_.pop_front();
    }
    by_key_.emplace(who, by_time_.insert(by_time_.end(), {who, next}));
    return next.failures;
  }
  /// What was counted last, long ago or not; zero if nothing was.
  [[nodiscard]] record find(const Key& who) const {
    const auto known = by_key_.find(who);
    return known == by_key_.end() ? record() : known->second->second;
  }
  [[nodiscard]] std::size_t size() const { return by_time_.size(); }

 private:
  using entry = std::pair<Key, record>;
  static bool is_forgotten(const record& one, clock::time_point now) { return now - one.last >= peace; }

  std::list<entry> by_time_;  ///< who failed last is last
  std::map<Key, typename std::list<entry>::iterator> by_key_;
};

}  // namespace proxy
