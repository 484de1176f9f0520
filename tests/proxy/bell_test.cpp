// Coroutines that wait at a bell: when they go on, and what becomes of one whose loop ends before.
#include "proxy/bell.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <memory>

namespace bell_test {

using proxy::bell;
using proxy::task;
namespace asio = proxy::asio;

namespace {

struct guest {
  explicit guest(asio::io_context& loop) : rings(loop) {}
  static task<void> stay(std::shared_ptr<guest> self) {
    for (;;) {
      co_await self->rings.wait();
      ++self->called;
    }
  }
  bell rings;
  int called = 0;
};

void run(asio::io_context& loop) {
  loop.restart();
  loop.poll();
}

}  // namespace

TEST_CASE("who waits at a bell goes on once for each ring, and not within it") {
  asio::io_context loop{1};
  const auto one = std::make_shared<guest>(loop);
  one->rings.ring();  // nobody waits: not remembered
  asio::co_spawn(loop, guest::stay(one), asio::detached);
  run(loop);
  CHECK(one->called == 0);
  one->rings.ring();
  one->rings.ring();
  CHECK(one->called == 0);
  run(loop);
  CHECK(one->called == 1);
  one->rings.ring();
  run(loop);
  CHECK(one->called == 2);
}

TEST_CASE("with the loop ends who waits at a bell, and what that keeps alive") {
  std::weak_ptr<guest> seen;
  {
    asio::io_context loop{1};
    auto one = std::make_shared<guest>(loop);
    seen = one;
    asio::co_spawn(loop, guest::stay(std::move(one)), asio::detached);
    run(loop);
    CHECK_FALSE(seen.expired());
  }
  CHECK(seen.expired());
}

}  // namespace bell_test
