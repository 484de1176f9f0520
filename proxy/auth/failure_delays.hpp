// How long nobody of a neighbourhood may try again after one of it was wrong, by how often it was of late. Pure: the
// time is an argument.
//
//   failures   1   2   3      4    5    6    7    8 and more
//   delay      0   0   0.5 s  1 s  2 s  4 s  8 s  10 s
//
// The delay counts from the neighbourhood's last failure, not from when a client comes, so that many who come at once
// do not serve it side by side. It holds for right and wrong passwords alike: were only failures delayed, whoever
// guesses would not wait for them. Two failures are free, since many programs first try without a password. A success
// forgets nothing, or whoever has one password could try others for ever; a minute without failures does.
//
// What must hold: the table is bounded. When it is full, who failed longest ago is forgotten first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "conf/network.hpp"

namespace proxy {

class failure_delays {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t most_neighbourhoods = std::size_t{16} * 1024;
  static constexpr std::uint32_t free_failures = 2;
  static constexpr std::chrono::milliseconds first_delay{500};
  static constexpr std::chrono::milliseconds most_delay{10'000};
  static constexpr std::chrono::seconds peace{60};

  void failed(const conf::ip_address& neighbourhood, clock::time_point now);
  /// Nothing: it has no delay to wait for now.
  [[nodiscard]] std::optional<clock::time_point> closed_until(const conf::ip_address& neighbourhood,
                                                              clock::time_point now) const;
  [[nodiscard]] std::size_t size() const { return by_time_.size(); }

 private:
  struct entry {
    conf::ip_address who;
    std::uint32_t failures = 0;
    clock::time_point last;
  };
  static bool is_forgotten(const entry& one, clock::time_point now) { return now - one.last >= peace; }

  std::list<entry> by_time_;  ///< who failed last is last
  std::map<conf::ip_address, std::list<entry>::iterator> by_address_;
};

/// What so many failures in a row cost.
failure_delays::clock::duration delay_after(std::uint32_t failures);

}  // namespace proxy
