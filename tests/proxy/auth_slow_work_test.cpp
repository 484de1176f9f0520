// Work in other threads: where it runs, where its result arrives, and what becomes of it at the end.
#include "proxy/auth/slow_work.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace auth_slow_work_test {

using namespace proxy;

namespace {

task<void> compute(slow_work& work, executor home, std::string text, std::optional<std::string>& result) {
  auto job = [text, caller = std::this_thread::get_id()] {
    return std::this_thread::get_id() == caller ? "in the loop's own thread" : text + "!";
  };
  const auto done = co_await work.run(home, std::move(job));
  result = done ? *done : "refused";
}

// Keeps the one thread of a pool busy until it is let go.
class stopper {
 public:
  explicit stopper(slow_work& work) {
    auto wait = [go = go_.get_future()]() noexcept { go.wait(); };
    const bool posted = work.try_post(std::move(wait));
    REQUIRE(posted);
  }
  void let_go() { go_.set_value(); }

 private:
  std::promise<void> go_;
};

}  // namespace

TEST_CASE("a coroutine gets the result in its own thread") {
  slow_work work(2);
  asio::io_context loop(1);
  std::optional<std::string> results[3];
  for (auto& result : results) asio::co_spawn(loop, compute(work, loop.get_executor(), "done", result), asio::detached);
  loop.run();  // the work keeps it running
  for (const auto& result : results) CHECK(result == "done!");
  CHECK(work.jobs() == 0);
}

namespace {

task<void> throws(slow_work& work, executor home, std::optional<slow_refusal>& result) {
  auto job = []() -> int { throw std::runtime_error("no"); };
  const auto done = co_await work.run(home, std::move(job));
  if (!done) result = done.error();
}

task<void> nothing(slow_work& work, executor home, std::optional<slow_refusal>& result, bool& ran) {
  auto job = [&ran] { ran = true; };
  const auto done = co_await work.run(home, std::move(job));
  if (!done) result = done.error();
}

task<void> holding(std::shared_ptr<int>, slow_work& work, executor home, std::optional<slow_refusal>& result,
                   bool& ran) {
  co_await nothing(work, home, result, ran);
}

}  // namespace

TEST_CASE("what a job throws is an answer") {
  slow_work work(1);
  asio::io_context loop(1);
  std::optional<slow_refusal> result;
  asio::co_spawn(loop, throws(work, loop.get_executor(), result), asio::detached);
  loop.run();
  CHECK(result == slow_refusal::failed);
}

TEST_CASE("beyond the bound it is busy") {
  slow_work work(1);
  asio::io_context loop(1);
  stopper all(work);
  std::size_t queued = 1;
  while (work.try_post([]() noexcept {})) ++queued;
  CHECK(queued == slow_work::most_jobs);
  std::optional<slow_refusal> result;
  bool ran = false;
  asio::co_spawn(loop, nothing(work, loop.get_executor(), result, ran), asio::detached);
  loop.run();
  CHECK(result == slow_refusal::busy);
  CHECK_FALSE(ran);
  all.let_go();
  while (work.jobs() > 0) std::this_thread::yield();
  CHECK(work.try_post([]() noexcept {}));
}

TEST_CASE("at the end, what is queued does not run, and the coroutines that wait for it end with their loop") {
  const auto alive = std::make_shared<int>();
  std::optional<slow_refusal> result;
  bool ran = false;
  {
    asio::io_context loop(1);
    asio::io_context asking(1);
    slow_work work(1);
    stopper all(work);
    asio::co_spawn(loop, holding(alive, work, loop.get_executor(), result, ran), asio::detached);
    loop.poll();
    CHECK(alive.use_count() > 1);
    // The running job ends only now; the other is in the queue until close.
    std::thread closing([&] { work.close(); });
    std::optional<slow_refusal> told;
    while (told != slow_refusal::closed) {  // until then one is queued, and in the end too many are
      std::this_thread::yield();
      asio::co_spawn(asking, nothing(work, asking.get_executor(), told, ran), asio::detached);
      asking.restart();
      asking.poll();
    }
    all.let_go();
    closing.join();
    CHECK_FALSE(work.try_post([]() noexcept {}));
    work.close();
  }
  CHECK(alive.use_count() == 1);
  CHECK_FALSE(ran);
  CHECK_FALSE(result.has_value());
}

TEST_CASE("after the end there is no work") {
  asio::io_context loop(1);
  slow_work work(1);
  work.close();
  std::optional<slow_refusal> result;
  bool ran = false;
  asio::co_spawn(loop, nothing(work, loop.get_executor(), result, ran), asio::detached);
  loop.run();
  CHECK(result == slow_refusal::closed);
  CHECK_FALSE(ran);
}

}  // namespace auth_slow_work_test
