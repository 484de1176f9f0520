// Transports in the ring of their loop: what one end of a socket pair writes and reads, and what the other sees.
#include "proxy/io_ring.hpp"

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/transport.hpp"

namespace io_ring_test {

namespace asio = proxy::asio;
using proxy::as_bytes;
using proxy::error_code;
using proxy::io_status;

namespace {

struct house {
  asio::io_context loop{1};
  asio::executor_work_guard<proxy::executor> work{loop.get_executor()};
  std::optional<std::string> no_ring =
      asio::use_service<proxy::readiness>(loop).open_ring(proxy::readiness::ring_use::always);
};

// Both ends of a connection, the near one in the ring.
struct line {
  explicit line(house& in) : near(std::make_unique<proxy::transport>(in.loop)) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    begin(AF_UNIX, ends);
  }
  // By TCP, to a door that listens on this address.
  line(house& in, int door, const sockaddr_in& address) : near(std::make_unique<proxy::transport>(in.loop)) {
    const int caller = ::socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(::connect(caller, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    begin(AF_INET, {caller, ::accept4(door, nullptr, nullptr, SOCK_NONBLOCK)});
  }
  // It enters with its first wait.
  void begin(int family, std::array<int, 2> ends) {
    near->adopt(family, ends[0]);
    near->may_use_ring();
    far = ends[1];
  }
  ~line() { hang_up(); }
  line(const line&) = delete;
  line& operator=(const line&) = delete;

  void say(std::string_view words) const {
    REQUIRE(::send(far, words.data(), words.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(words.size()));
  }
  void hang_up() {
    if (far >= 0) ::close(std::exchange(far, -1));
  }
  // All that has come to the far end; "<end>" behind it, if that was all there will be.
  std::string heard() const {
    std::string all;
    std::string room(65536, 0);
    for (;;) {
      const ssize_t n = ::recv(far, room.data(), room.size(), 0);
      if (n == 0) return all + "<end>";
      if (n < 0) return all;
      all.append(room, 0, static_cast<std::size_t>(n));
    }
  }
  void await() {
    woken.reset();
    near->wait_readable()([this](auto told) { woken = std::get<0>(told); });
    REQUIRE_FALSE(woken);  // never within the call
  }
  std::string read(std::size_t most = 65536) {
    std::string room(most, 0);
    const auto got = near->read_some(std::as_writable_bytes(std::span(room)));
    last = got.status;
    emptied = got.emptied;
    room.resize(got.bytes);
    return room;
  }

  std::unique_ptr<proxy::transport> near;
  int far = -1;
  std::optional<error_code> woken;
  io_status last = io_status::done;
  bool emptied = false;
};

// Where the kernel offers none, the lodge does without, and so do its tests.
bool has_ring(const house& in) {
  if (in.no_ring) WARN("no io_uring here: " << *in.no_ring);
  return !in.no_ring;
}

}  // namespace

TEST_CASE("what comes is brought with the news of it", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
  one.say("hello");
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK_FALSE(*one.woken);
  int unread = -1;
  REQUIRE(::ioctl(one.near->descriptor(), FIONREAD, &unread) == 0);
  CHECK(unread == 0);  // it is with us
  CHECK(one.read(2) == "he");
  CHECK_FALSE(one.emptied);
  CHECK(one.read() == "llo");
  CHECK(one.emptied);
  one.await();
  in.loop.poll();
  CHECK_FALSE(one.woken);
  one.hang_up();
  in.loop.poll();
  REQUIRE(one.woken);
  one.read();
  CHECK(one.last == io_status::end);
}

TEST_CASE("nobody reads past a receive that is outstanding", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  one.await();
  in.loop.poll();
  one.near->cancel();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(*one.woken == asio::error::operation_aborted);
  one.say("meant for the ring");
  CHECK(one.read().empty());
  CHECK(one.last == io_status::would_block);
  one.await();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(one.read() == "meant for the ring");
}

TEST_CASE("what is larger than a buffer is read on in order", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  std::string much;
  for (int i = 0; much.size() < 100'000; ++i) much += std::to_string(i) + ' ';
  one.await();
  in.loop.poll();
  one.say(much);
  std::string got;
  while (got.size() < much.size()) {
    in.loop.poll();
    REQUIRE(one.woken);
    do got += one.read(10'000);
    while (!one.emptied);
    if (got.size() < much.size()) one.await();
  }
  CHECK(got == much);
}

TEST_CASE("what is written soon goes when the loop runs, in order with the rest", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  line other(in);
  CHECK(one.near->write_soon(as_bytes("soon ")).bytes == 5);
  CHECK(other.near->write_soon(as_bytes("too")).bytes == 3);
  CHECK(one.heard().empty());
  in.loop.poll();
  CHECK(one.heard() == "soon ");
  CHECK(other.heard() == "too");
  CHECK(one.near->write_soon(as_bytes("a")).bytes == 1);
  CHECK(one.near->write_soon(as_bytes("b")).bytes == 1);
  CHECK(one.near->write_some(as_bytes("c")).bytes == 1);
  CHECK(one.heard() == "abc");
  SECTION("a close keeps nothing back") {
    CHECK(one.near->write_soon(as_bytes("goodbye")).bytes == 7);
    one.near->close();
    CHECK(one.heard() == "goodbye<end>");
  }
  SECTION("nor does the end of writing") {
    CHECK(one.near->write_soon(as_bytes("last words")).bytes == 10);
    one.near->shut_write();
    CHECK(one.heard() == "last words<end>");
  }
}

TEST_CASE("what finds no room is owed, and nothing goes past it", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  std::string sent;
  for (int i = 0; !one.near->owes(); ++i) {
    const std::string block = std::to_string(i) + std::string(9'000, '.');
    const auto wrote = one.near->write_soon(as_bytes(block));
    sent.append(block, 0, wrote.bytes);
  }
  CHECK(one.near->write_some(as_bytes("x")).status == io_status::would_block);
  CHECK(one.near->write_soon(as_bytes("x")).status == io_status::would_block);
  bool shut = false;
  SECTION("a writer is told of room") {
    std::optional<error_code> room;
    one.near->wait_writable()([&](auto told) { room = std::get<0>(told); });
    in.loop.poll();
    CHECK_FALSE(room);
    std::string got;
    while (!room) {
      got += one.heard();
      in.loop.poll();
    }
    CHECK_FALSE(one.near->owes());
    CHECK(one.near->write_some(as_bytes("x")).bytes == 1);
    CHECK(got + one.heard() == sent + "x");
  }
  SECTION("so is who waits for it to be sent") {
    bool settled = false;
    asio::co_spawn(in.loop, one.near->settle(), [&](const std::exception_ptr&) { settled = true; });
    std::string got;
    while (!settled) {
      in.loop.poll();
      got += one.heard();
    }
    CHECK_FALSE(one.near->owes());
    CHECK(got + one.heard() == sent);
  }
  SECTION("the end of writing comes behind it") {
    one.near->shut_write();
    shut = true;
    std::string got;
    while (!got.ends_with("<end>")) {
      in.loop.poll();
      got += one.heard();
    }
    CHECK(got == sent + "<end>");
  }
  SECTION("a close gives it up") {
    one.near->close();
    std::string got;
    while (!got.ends_with("<end>")) {
      in.loop.poll();
      got += one.heard();
    }
    CHECK(sent.starts_with(got.substr(0, got.size() - 5)));
  }
  if (!shut)
    CHECK((one.near->is_open() ? one.near->write_some(as_bytes("")).status : io_status::done) == io_status::done);
}

TEST_CASE("large writes go directly, and wait for room likewise", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  const std::string block(65'536, 'x');
  std::size_t sent = 0;
  for (;;) {
    const auto wrote = one.near->write_soon(as_bytes(block));
    sent += wrote.bytes;
    if (wrote.status == io_status::would_block) break;
  }
  CHECK_FALSE(one.near->owes());
  std::optional<error_code> room;
  one.near->wait_writable()([&](auto told) { room = std::get<0>(told); });
  in.loop.poll();
  CHECK_FALSE(room);
  CHECK(one.heard().size() == sent);
  in.loop.poll();
  CHECK(room);
}

TEST_CASE("a close is seen at the other end although a receive was outstanding", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  one.await();
  in.loop.poll();
  one.near->close();
  in.loop.poll();
  REQUIRE(one.woken);
  CHECK(*one.woken == asio::error::operation_aborted);
  CHECK(one.heard() == "<end>");
}

TEST_CASE("a stream moves to another loop", "[ring]") {
  house in, there;
  if (!has_ring(in)) return;
  line one(in);
  one.await();
  in.loop.poll();
  SECTION("with all its bytes") {
    const bool early = GENERATE(false, true);
    if (early) one.say("came ");
    auto moving = one.near->detach();
    REQUIRE(moving);
    in.loop.poll();
    CHECK(*one.woken == asio::error::operation_aborted);
    one.near = std::make_unique<proxy::transport>(there.loop);
    one.near->adopt(std::move(*moving));
    one.near->may_use_ring();
    one.say("here");
    one.await();
    there.loop.poll();
    REQUIRE(one.woken);
    CHECK(one.read() == (early ? "came here" : "here"));
    CHECK(one.near->write_soon(as_bytes("there")).bytes == 5);
    there.loop.poll();
    CHECK(one.heard() == "there");
  }
  SECTION("but not once something has been received") {
    one.say("for this loop");
    in.loop.poll();
    REQUIRE(one.woken);
    CHECK_FALSE(one.near->detach());
    CHECK(one.read() == "for this loop");
  }
}

TEST_CASE("more come at once than there are buffers, and all are heard", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  std::vector<std::unique_ptr<line>> many;
  for (int i = 0; i < 400; ++i) {
    many.push_back(std::make_unique<line>(in));
    many.back()->await();
  }
  in.loop.poll();
  for (const auto& one : many) one->say("x");
  in.loop.poll();
  int heard = 0;
  for (const auto& one : many) heard += one->woken && one->read() == "x" ? 1 : 0;
  CHECK(heard == 400);
  // Read, they are given back.
  for (const auto& one : many) one->await();
  for (const auto& one : many) one->say("y");
  in.loop.poll();
  heard = 0;
  for (const auto& one : many) heard += one->woken && one->read() == "y" ? 1 : 0;
  CHECK(heard == 400);
}

// The kernel does only some of what is due at once; and the end of writing makes it look at a TCP socket in vain.
TEST_CASE("many that have nothing to tell hide nobody who has", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int door = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(::bind(door, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(door, 8) == 0);
  REQUIRE(::getsockname(door, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  std::vector<std::unique_ptr<line>> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(std::make_unique<line>(in, door, address));
    many.back()->await();
  }
  ::close(door);
  line last(in);
  last.await();
  in.loop.poll();
  for (const auto& one : many) one->near->shut_write();
  last.say("x");
  in.loop.poll();
  CHECK(last.woken);
  for (const auto& one : many) CHECK(one->heard() == "<end>");
}

TEST_CASE("one whose peer is gone finds out by reading", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  line one(in);
  one.hang_up();
  CHECK(one.near->write_soon(as_bytes("anybody?")).bytes == 8);
  in.loop.poll();
  CHECK(one.near->write_some(as_bytes("nobody")).status == io_status::failed);
  one.await();
  in.loop.poll();
  REQUIRE(one.woken);
  one.read();
  CHECK(one.last == io_status::end);
}

TEST_CASE("one that is woken by the ring may end another that is due, and itself", "[ring]") {
  house in;
  if (!has_ring(in)) return;
  auto first = std::make_unique<line>(in), second = std::make_unique<line>(in);
  int woken = 0;
  const auto end_both = [&](auto told) {
    if (!std::get<0>(told)) ++woken;
    first.reset();
    second.reset();
  };
  first->near->wait_readable()(end_both);
  second->near->wait_readable()(end_both);
  in.loop.poll();
  first->say("a");
  second->say("b");
  in.loop.poll();
  CHECK(woken == 1);
}

TEST_CASE("what waits for the ring goes with the event loop", "[ring]") {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> seen = held;
  auto in = std::make_unique<house>();
  if (!has_ring(*in)) return;
  auto one = std::make_unique<line>(*in);
  auto& near = *one->near;
  CHECK(near.write_soon(as_bytes("never sent")).bytes == 10);
  near.wait_readable()([held = std::move(held), owned = std::move(one)](auto) {});
  CHECK_FALSE(seen.expired());
  in.reset();
  CHECK(seen.expired());
}

}  // namespace io_ring_test
