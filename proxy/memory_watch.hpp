// Keeps the process within `resources.memory`, so that the kernel need not end it.
//
// What is resident is looked at a few times a second, once a second where there is no bound. From 90 % of the bound on
// nobody new is let in; beyond it the session that holds most is ended, one at a time, until it fits again. What counts
// is what a session alone makes the lodge hold: messages that must be whole before they are judged, answers that its
// client does not take, statements it has prepared. A session that holds little is never ended for it: that would cost
// much and free nothing.
//
// A client can send more between two looks than any bound leaves. So who gathers a long message waits now and then
// until it has been looked at, and is ended before it reads on if it must be.
//
// And gives back what has been freed after a burst; see trim_time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/trim_time.hpp"
#include "proxy/worker.hpp"

namespace proxy {

/// Bytes of this process that are in memory now, those it shares included; 0 if the system does not tell.
std::uint64_t resident_bytes();

/// Main thread only, but for what says otherwise.
class memory_watch {
 public:
  /// Both must outlive it.
  memory_watch(asio::io_context& main, const std::vector<std::unique_ptr<worker>>& workers)
      : main_(main), workers_(workers) {}

  /// Nothing: no bound.
  void set_most(std::optional<std::uint64_t> bytes) { most_ = bytes; }
  /// For as long as the loop runs.
  task<void> run();
  /// Looks now, from any thread. `seen` is called on the main thread, when who had to be ended has been told, and what
  /// that frees has been seen; never, if the loop ends before.
  void look_for(std::function<void()> seen);
  /// Whether nobody new is let in, when it was looked at last. From any thread.
  [[nodiscard]] bool is_short() const { return is_short_; }

 private:
  void look();
  [[nodiscard]] bool is_beyond(std::uint64_t used) const { return most_ && used > *most_; }
  void give_back(std::uint64_t used);
  void end_the_largest();
  void judge(std::size_t of, worker::holder one);
  void tell_seen();

  asio::io_context& main_;
  const std::vector<std::unique_ptr<worker>>& workers_;
  std::optional<std::uint64_t> most_;
  std::atomic<bool> is_short_ = false;
  trim_time trim_time_;
  bool searching_ = false;
  std::size_t missing_ = 0;  // workers that have not answered
  std::size_t whose_ = 0;    // the worker of the largest so far
  worker::holder largest_;
  bool told_of_none_ = false;
  clock::time_point next_end_;                ///< until then it shows what ending the last one has freed
  bool waits_ = false;                        ///< for that
  std::vector<std::function<void()>> asked_;  ///< by look_for
};

}  // namespace proxy
