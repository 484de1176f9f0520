// When a connection to a server may be tried: so that a server that fails, or has just come back, is not stormed by all
// who wait for it.
//
//   up          `most_at_once` attempts at a time
//   failing     one at a time, and from failure to failure longer apart, up to `longest_pause`; at random within the
//               later half of each pause, so that many lodges do not come in step
//   recovering  the first that succeeds lets two follow, and each of those two more, until as many as ever may try
//
// A failure is an outage: nobody answered, or in words that are the same for everybody. What a server says to one (no
// such database, wrong password, too many of this role) shows that it is there: `answered`.
//
// Sans I/O: time and randomness are arguments. Every attempt that `try_begin` allowed must end by one of the three.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace proxy {

class connect_gate {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// A server starts a process for each: more at once are no faster.
  static constexpr unsigned most_at_once = 32;
  static constexpr std::chrono::milliseconds first_pause{100};
  static constexpr std::chrono::milliseconds longest_pause{2000};

  /// An attempt that is under way: the round of failures it began in.
  struct attempt {
    std::uint64_t round = 0;
  };

  /// Whether one may begin now; it then has begun.
  std::optional<attempt> try_begin(time_point now);

  /// It has come to something: the server is there.
  void answered();
  /// Nobody is there, or nobody who serves. `random` is from [0, 1). Failures of attempts that began together are one.
  void failed(attempt which, time_point now, double random, std::string why);
  /// It ended without showing anything.
  void abandoned();

  [[nodiscard]] bool failing() const { return failures_ > 0; }
  /// One after the other, since the last success.
  [[nodiscard]] std::uint64_t failures() const { return failures_; }
  /// What the last attempt failed by, for people; empty unless failing.
  [[nodiscard]] const std::string& why() const { return why_; }
  [[nodiscard]] unsigned under_way() const { return under_way_; }

 private:
  [[nodiscard]] duration pause(double random) const;

  unsigned under_way_ = 0;
  unsigned allowed_ = most_at_once;
  std::uint64_t failures_ = 0;
  std::uint64_t round_ = 0;  ///< counts the failures that changed anything
  time_point next_{};        ///< when failing: not before
  std::string why_;
};

}  // namespace proxy
