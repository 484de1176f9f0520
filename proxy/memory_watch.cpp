#include "proxy/memory_watch.hpp"

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <fstream>
#include <utility>

namespace proxy {
namespace {

constexpr std::chrono::milliseconds interval{200};
// Where there is no bound, freed memory is all that is looked for.
constexpr std::chrono::milliseconds interval_without_bound{1000};

// What ending a session frees is seen within this time, also where its worker has much to do.
constexpr std::chrono::milliseconds seen_after{500};

// Who holds less is not worth ending.
constexpr std::size_t worth_ending = std::size_t{1} << 20;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

}  // namespace

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

task<void> memory_watch::run() {
  timer pause(main_);
  for (;;) {
    pause.expires_after(most_ ? interval : interval_without_bound);
    auto [error] = co_await pause.async_wait(no_throw);
    if (error) co_return;
    look();
    tell_seen();
  }
}

void memory_watch::look_for(std::function<void()> seen) {
  asio::post(main_, [this, seen = std::move(seen)]() mutable {
    asked_.push_back(std::move(seen));
    look();
    tell_seen();
  });
}

void memory_watch::tell_seen() {
  if (searching_ || waits_) return;
  for (const auto& seen : std::exchange(asked_, {})) seen();
}

void memory_watch::look() {
  const std::uint64_t used = resident_bytes();
  give_back(used);
  const bool is_short = most_ && used > *most_ / 10 * 9;
  if (is_short != is_short_.exchange(is_short)) {
    if (is_short) {
      spdlog::warn("{} MiB are in use, near resources.memory: no new sessions", used / mebibyte);
    } else {
      spdlog::info("{} MiB are in use: new sessions are let in again", used / mebibyte);
    }
  }
  if (!is_short) told_of_none_ = false;
  waits_ = is_beyond(used) && clock::now() < next_end_;
  if (is_beyond(used) && !waits_ && !searching_) end_the_largest();
}

void memory_watch::give_back(std::uint64_t used) {
  const auto now = clock::now();
  if (!trim_time_.is_now(used, now)) return;
  ::malloc_trim(0);
  const std::uint64_t left = resident_bytes();
  const std::chrono::duration<double, std::milli> took = clock::now() - now;
  trim_time_.trimmed(left, now);
  spdlog::debug("{} MiB are in use, {} after giving back what was freed, which took {:.1f} ms", used / mebibyte,
                left / mebibyte, took.count());
}

void memory_watch::end_the_largest() {
  // What was freed already may only not have been given back.
  ::malloc_trim(0);
  if (!is_beyond(resident_bytes())) return;
  searching_ = true;
  largest_ = {};
  missing_ = workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->find_largest([this, i](worker::holder one) { asio::post(main_, [this, i, one] { judge(i, one); }); });
  }
}

void memory_watch::judge(std::size_t of, worker::holder one) {
  if (one.bytes > largest_.bytes) {
    largest_ = one;
    whose_ = of;
  }
  if (--missing_ > 0) return;
  searching_ = false;
  if (largest_.bytes >= worth_ending) {
    spdlog::error("resources.memory is exceeded: session {} is ended, which holds {} MiB", largest_.id,
                  largest_.bytes / mebibyte);
    workers_[whose_]->end_for_memory(largest_.id);
    next_end_ = clock::now() + seen_after;
  } else if (!std::exchange(told_of_none_, true)) {
    spdlog::error("resources.memory is exceeded, and no session holds much of it: it is too small for what runs here");
  }
  tell_seen();
}

}  // namespace proxy
