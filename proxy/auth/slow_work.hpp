// A few threads for what must never hold up an event loop: PBKDF2 takes milliseconds, libpq may block.
//
// A coroutine says `co_await work.run(home, job)` and goes on, in its own thread, with what the job gave. The jobs that
// wait or run are bounded: beyond the bound there is no work but an answer, "busy", at once. A job cannot be
// interrupted, so each must be short or keep a deadline of its own; whoever waits for one waits for its end.
//
// What must hold: computing and asking servers have separate objects of this class, so that a server that hangs keeps
// no password from being checked. A job's results go home by a post, never by a call from another thread.
//
// The order at the end: the event loops' threads have ended; then `close`, which waits for what runs and drops what is
// queued; then the event loops are destroyed, and with them the coroutines that waited for what was dropped. `run` and
// `try_post` may still be called, and do nothing.
#pragma once

#include <atomic>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <type_traits>
#include <utility>

#include "proxy/counted.hpp"
#include "proxy/io.hpp"

namespace proxy {

/// Why a job gave nothing.
enum class slow_refusal : std::uint8_t {
  busy,    ///< as many jobs as are allowed are waiting
  closed,  ///< the lodge is closing
  failed,  ///< the job threw: for want of memory, or by a defect
};

class slow_work {
 public:
  /// Waiting and running. A job of PBKDF2 takes about 2 ms, so the last of these waits for a second or two.
  static constexpr std::size_t most_jobs = 1024;

  explicit slow_work(std::size_t threads) : pool_(std::make_unique<asio::thread_pool>(threads)) {}
  ~slow_work() { close(); }
  slow_work(const slow_work&) = delete;
  slow_work& operator=(const slow_work&) = delete;

  /// To be awaited in a coroutine of `home`; gives std::expected<what `work()` gives, slow_refusal>. `work` is called
  /// at most once and destroyed in a thread of the pool, and must not refer to anything that could be gone by then.
  template <class Work>
  auto run(executor home, Work work) {
    using value = std::expected<std::invoke_result_t<Work&>, slow_refusal>;
    auto begin = [this, home]<class Handler>(Handler&& handler, Work job) {
      this->template start<value>(home, std::forward<Handler>(handler), std::move(job));
    };
    return asio::async_initiate<const asio::deferred_t, void(value)>(std::move(begin), asio::deferred, std::move(work));
  }

  /// The same for what nobody waits for, and which therefore may not throw. False: refused, and `work` was destroyed
  /// without being called.
  template <class Work>
  bool try_post(Work work) {
    static_assert(std::is_nothrow_invocable_v<Work&>);
    if (closed_) return false;
    auto place = jobs_.add();
    if (jobs_.value() > most_jobs) return false;
    auto job = [place = std::move(place), work = std::move(work)]() mutable { work(); };
    asio::post(*pool_, std::move(job));
    return true;
  }

  /// See above. Calling it again does nothing; two threads may not at once.
  void close() {
    if (closed_) return;
    pool_->stop();
    closed_ = true;  // who is told so may rely on it that nothing begins any more
    pool_->join();
    pool_.reset();
  }

  [[nodiscard]] std::size_t jobs() const { return jobs_.value(); }

 private:
  template <class Value, class Handler, class Work>
  void start(const executor& home, Handler handler, Work work) {
    const auto where = asio::get_associated_executor(handler, home);
    if (closed_) return reply(where, std::move(handler), Value(std::unexpected(slow_refusal::closed)));
    auto place = jobs_.add();
    if (jobs_.value() > most_jobs) {
      return reply(where, std::move(handler), Value(std::unexpected(slow_refusal::busy)));
    }
    // The guard keeps the home loop running while the job is away.
    auto job = [where, guard = asio::make_work_guard(where), place = std::move(place), handler = std::move(handler),
                work = std::move(work)]() mutable {
      Value outcome = call<Value>(work);
      place = {};
      reply(where, std::move(handler), std::move(outcome));
    };
    asio::post(*pool_, std::move(job));
  }

  template <class Value, class Work>
  static Value call(Work& work) {
    try {
      if constexpr (std::is_void_v<typename Value::value_type>) {
        work();
        return {};
      } else {
        return work();
      }
    } catch (...) {
      return std::unexpected(slow_refusal::failed);
    }
  }

  template <class Executor, class Handler, class Value>
  static void reply(const Executor& where, Handler handler, Value outcome) {
    auto deliver = [handler = std::move(handler), outcome = std::move(outcome)]() mutable {
      std::move(handler)(std::move(outcome));
    };
    asio::post(where, std::move(deliver));
  }

  counter jobs_;
  std::atomic<bool> closed_ = false;
  std::unique_ptr<asio::thread_pool> pool_;
};

}  // namespace proxy
