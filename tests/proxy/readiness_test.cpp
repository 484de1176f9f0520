// Waits on one end of a socket pair, what is done at the other, and who wakes.
#include "proxy/readiness.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>

namespace readiness_test {

namespace asio = proxy::asio;
using proxy::error_code;
using proxy::readable_or_writable;
using proxy::readiness;
using seat = readiness::watch::seat;

namespace {

struct house {
  asio::io_context loop{1};
  asio::executor_work_guard<proxy::executor> work{loop.get_executor()};
  readiness& set = asio::use_service<readiness>(loop);
};

// Both ends of a connection, the near one watched.
struct line {
  explicit line(house& in) : near(in.set) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    REQUIRE(near.begin(ends[0]));
  }
  ~line() {
    near.end();
    ::close(ends[0]);
    hang_up();
  }
  line(const line&) = delete;
  line& operator=(const line&) = delete;

  void say(const std::string& words) const {
    REQUIRE(::send(ends[1], words.data(), words.size(), 0) == static_cast<ssize_t>(words.size()));
  }
  void hang_up() {
    if (ends[1] >= 0) ::close(std::exchange(ends[1], -1));
  }
  std::string hear() {
    std::array<char, 64> room{};
    const auto n = ::recv(ends[0], room.data(), room.size(), 0);
    near.drained();
    return n > 0 ? std::string(room.data(), static_cast<std::size_t>(n)) : std::string();
  }
  void await(readable_or_writable what = readable_or_writable::readable, seat who = seat::reader) {
    woken.reset();
    near.wait(who, what, [this](error_code how) { woken = how; });
    REQUIRE_FALSE(woken);  // never within the call
  }

  std::array<int, 2> ends{-1, -1};
  readiness::watch near;
  std::optional<error_code> woken;
};

}  // namespace

TEST_CASE("a wait ends when there is something to read", "[readiness]") {
  house in;
  line one(in);
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
  one.say("hello");
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK_FALSE(*one.woken);
  CHECK(one.hear() == "hello");
}

TEST_CASE("what came while nobody waited is there for who comes later", "[readiness]") {
  house in;
  line one(in);
  one.say("early");
  in.loop.poll();
  one.await();
  in.loop.poll();
  REQUIRE(one.woken);
  one.await();  // not read yet: it still is
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(one.hear() == "early");
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
}

TEST_CASE("an end that came with the last bytes is found after them", "[readiness]") {
  house in;
  line one(in);
  one.await();
  one.say("bye");
  one.hang_up();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(one.hear() == "bye");
  one.await();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(one.hear().empty());
}

TEST_CASE("who cannot tell whether all was read asks the kernel", "[readiness]") {
  house in;
  line one(in);
  one.say("half");
  in.loop.poll();
  one.near.unsure();
  one.await();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(one.hear() == "half");
  one.near.unsure();
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
}

TEST_CASE("a writer waits for room and a reader beside it for bytes", "[readiness]") {
  house in;
  line one(in);
  const std::string block(65536, 'x');
  while (::send(one.ends[0], block.data(), block.size(), 0) > 0) {
  }
  one.await();
  std::optional<error_code> room;
  one.near.wait(seat::writer, readable_or_writable::writable, [&](error_code how) { room = how; });
  in.loop.poll();
  CHECK_FALSE(room);
  std::string sink(1 << 20, 0);
  while (::recv(one.ends[1], sink.data(), sink.size(), 0) > 0) {
  }
  in.loop.poll();
  REQUIRE(room);
  CHECK_FALSE(one.woken);
  one.say("more");
  in.loop.poll();
  CHECK(one.woken);
}

TEST_CASE("a wait that is called off or whose watch ends is told so", "[readiness]") {
  house in;
  line one(in);
  one.await();
  SECTION("called off") { one.near.cancel(); }
  SECTION("ended") { one.near.end(); }
  CHECK_FALSE(one.woken);
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(*one.woken == asio::error::operation_aborted);
}

TEST_CASE("a reader is woken for another reason, and a writer waits on", "[readiness]") {
  house in;
  line one(in);
  const std::string much(std::size_t{1} << 20, 'x');
  while (::send(one.ends[0], much.data(), much.size(), 0) > 0) {
  }
  bool room = false;
  one.near.wait(seat::writer, readable_or_writable::writable, [&](error_code) { room = true; });
  one.await();
  one.near.wake_reader();
  CHECK_FALSE(one.woken);
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK_FALSE(*one.woken);
  CHECK_FALSE(room);
  one.near.wake_reader();  // nobody waits
  in.loop.poll();
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
}

TEST_CASE("a wait on what is not watched fails", "[readiness]") {
  house in;
  readiness::watch none(in.set);
  std::optional<error_code> how;
  none.wait(seat::reader, readable_or_writable::readable, [&](error_code told) { how = told; });
  in.loop.poll();
  REQUIRE(how);
  CHECK(*how == asio::error::bad_descriptor);
  CHECK_FALSE(none.begin(-1));
}

TEST_CASE("one that is woken may end another that is due", "[readiness]") {
  house in;
  auto first = std::make_unique<line>(in), second = std::make_unique<line>(in);
  int woken = 0;
  const auto end_both = [&](error_code how) {
    if (!how) ++woken;
    first.reset();
    second.reset();
  };
  first->near.wait(seat::reader, readable_or_writable::readable, end_both);
  second->near.wait(seat::reader, readable_or_writable::readable, end_both);
  first->say("a");
  second->say("b");
  in.loop.poll();
  CHECK(woken == 1);
}

TEST_CASE("more sockets than one look takes are all found", "[readiness]") {
  house in;
  std::vector<std::unique_ptr<line>> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(std::make_unique<line>(in));
    many.back()->await();
    many.back()->say("x");
  }
  in.loop.poll();
  for (const auto& one : many) CHECK(one->woken);
}

TEST_CASE("what waits goes with the event loop", "[readiness]") {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> seen = held;
  {
    auto in = std::make_unique<house>();
    auto one = std::make_unique<line>(*in);
    auto& watch = one->near;
    // As a coroutine owns the session whose socket it waits for.
    watch.wait(seat::reader, readable_or_writable::readable,
               [held = std::move(held), owned = std::move(one)](error_code) {});
    CHECK_FALSE(seen.expired());
    in.reset();
  }
  CHECK(seen.expired());
}

}  // namespace readiness_test
