#include "proxy/desk/usage_keeper.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <utility>

#include "proxy/desk/usage_line.hpp"

namespace proxy::desk {
namespace {

using steady = std::chrono::steady_clock;

utc_time now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

}  // namespace

usage_keeper::usage_keeper(const conf::usage_settings& settings, source totals)
    : interval_(settings.interval),
      totals_(std::move(totals)),
      ledger_(settings, new_run(), now(), [](const std::string& what) { spdlog::warn("usage ledger: {}", what); }),
      thread_([this] { run(); }) {}

void usage_keeper::stop() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void usage_keeper::run() {
  note(ledger_.open(now()));
  auto next = steady::now() + interval_;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_until(lock, next, [this] { return stopping_; })) {
    lock.unlock();
    note(write());
    // Intervals that a slow disk has swallowed are not made up for.
    next = std::max(next + interval_, steady::now());
    lock.lock();
  }
  lock.unlock();
  const auto last = write();
  note(last);
  if (!last) spdlog::error("usage ledger: {}; usage since the last good write is lost", last.error());
}

usage_ledger::result usage_keeper::write() {
  try {
    return ledger_.write(totals_(), now());
  } catch (const std::exception& error) {
    return std::unexpected(error.what());
  }
}

void usage_keeper::note(const usage_ledger::result& outcome) {
  if (!outcome && !failing_)
    spdlog::error("usage ledger: {}; usage is kept in memory until it can be written", outcome.error());
  if (outcome && failing_) spdlog::info("usage ledger: written again, nothing was lost");
  failing_ = !outcome;
}

}  // namespace proxy::desk
