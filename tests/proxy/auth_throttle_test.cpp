// The throttle: its two rules with a clock that is moved by hand, and the real thing over two event loops.
#include "proxy/auth/auth_throttle.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <map>

namespace auth_throttle_test {

using namespace proxy;
using namespace std::chrono_literals;

namespace {

conf::ip_address ip(std::string_view text) { return conf::parse_ip(text).value(); }
auth_applicant by(std::string_view address, std::string_view role = "app") {
  return applicant_of(ip(address), role).value();
}

const clock::time_point start{1h};

}  // namespace

TEST_CASE("the delay grows with the failures") {
  const auto [failures, delay] = GENERATE(table<unsigned, std::chrono::milliseconds>({{0, 0ms},
                                                                                      {1, 0ms},
                                                                                      {2, 0ms},
                                                                                      {3, 500ms},
                                                                                      {4, 1s},
                                                                                      {5, 2s},
                                                                                      {6, 4s},
                                                                                      {7, 8s},
                                                                                      {8, 10s},
                                                                                      {9, 10s},
                                                                                      {100, 10s},
                                                                                      {4'294'967'295, 10s}}));
  CHECK(delay_after(failures, 2) == delay);
  if (failures < 1000) CHECK(delay_after(failures + 18, 20) == delay);
}

namespace {

// What is left of it.
std::chrono::nanoseconds delay_of(const failure_delays& delays, const auth_applicant& who, clock::time_point now) {
  return delays.closed_until(who, now).value_or(now) - now;
}

}  // namespace

TEST_CASE("failures are counted by role and neighbourhood, until a minute passes without one") {
  failure_delays delays;
  const auto one = by("192.0.2.1");
  CHECK_FALSE(delays.closed_until(one, start));
  for (int i = 0; i < 3; ++i) delays.failed(one, start + i * 50s);
  const auto last = start + 100s;
  CHECK(delay_of(delays, one, last) == 500ms);
  CHECK(delay_of(delays, one, last + 400ms) == 100ms);
  CHECK(delay_of(delays, one, last + 500ms) == 0s);
  CHECK_FALSE(delays.closed_until(by("192.0.2.2"), last));

  delays.failed(one, last + 59s);  // the fourth
  CHECK(delay_of(delays, one, last + 59s) == 1s);
  delays.failed(one, last + 119s);  // counts from one again
  CHECK_FALSE(delays.closed_until(one, last + 119s));
}

TEST_CASE("whoever keeps trying one role delays no other") {
  failure_delays delays;
  for (int i = 0; i < 1000; ++i) delays.failed(by("192.0.2.1", "old"), start);
  CHECK(delay_of(delays, by("192.0.2.1", "old"), start) == 10s);
  CHECK_FALSE(delays.closed_until(by("192.0.2.1", "app"), start));
}

TEST_CASE("whoever goes through roles is delayed for all of them") {
  failure_delays delays;
  const int times = GENERATE(1, 3, 9);  // of each
  int role = 0;
  while (!delays.closed_until(by("192.0.2.1"), start)) {
    ++role;
    for (int i = 0; i < times; ++i) delays.failed(by("192.0.2.1", "r" + std::to_string(role)), start);
    REQUIRE(role < 100);
  }
  CHECK(role == (times == 1 ? 21 : 7));
  CHECK_FALSE(delays.closed_until(by("192.0.2.2"), start));
  CHECK_FALSE(delays.closed_until(by("192.0.2.1"), start + 10s));
  for (int i = 0; i < 9; ++i) delays.failed(by("192.0.2.1", "s" + std::to_string(i)), start);
  CHECK(delay_of(delays, by("192.0.2.1"), start) == 10s);
}

TEST_CASE("the table of failures is bounded: the oldest go") {
  failure_table<unsigned> table;
  constexpr auto most = failure_table<unsigned>::most;
  for (unsigned i = 0; i < most; ++i) CHECK(table.add(i, start) == 1);
  CHECK(table.size() == most);
  CHECK(table.add(0, start) == 2);  // not the oldest any more
  table.add(most, start);
  CHECK(table.size() == most);
  CHECK(table.find(0).failures == 2);
  CHECK(table.find(1).failures == 0);
  CHECK(table.find(2).failures == 1);
  table.add(most, start + 61s);
  CHECK(table.size() == 1);
}

TEST_CASE("admission: so many at a time, the rest in order") {
  admission gate({.at_a_time = 2, .of_one_neighbourhood = 2, .waiting = 2});
  using enum admission::answer;
  const auto visitor = [](std::uint64_t id) { return admission::visitor{id, std::nullopt}; };
  CHECK(gate.arrive(visitor(1)) == enter);
  CHECK(gate.arrive(visitor(2)) == enter);
  CHECK(gate.arrive(visitor(3)) == wait);
  CHECK(gate.arrive(visitor(4)) == wait);
  CHECK(gate.arrive(visitor(5)) == refuse);
  CHECK(gate.leave(visitor(2)) == 3);
  CHECK(gate.inside() == 2);
  gate.give_up(4);
  CHECK(gate.waiting() == 0);
  CHECK(gate.leave(visitor(1)) == std::nullopt);
  CHECK(gate.leave(visitor(3)) == std::nullopt);
  CHECK(gate.inside() == 0);
}

TEST_CASE("admission: no neighbourhood takes all places, and those who may enter do not wait for those who may not") {
  admission gate({.at_a_time = 3, .of_one_neighbourhood = 1, .waiting = 9});
  using enum admission::answer;
  const admission::visitor a1{1, ip("192.0.2.1")}, a2{2, ip("192.0.2.1")}, b{3, ip("192.0.2.2")}, u{4, std::nullopt},
      v{5, std::nullopt};
  CHECK(gate.arrive(a1) == enter);
  CHECK(gate.arrive(a2) == wait);
  CHECK(gate.arrive(b) == enter);
  CHECK(gate.arrive(u) == enter);
  CHECK(gate.arrive(v) == wait);
  CHECK(gate.leave(b) == 5);  // not a2, which was first
  CHECK(gate.leave(u) == std::nullopt);
  CHECK(gate.leave(a1) == 2);
}

namespace {

using turn = auth_throttle::turn;
using outcome = auth_throttle::outcome;

// A client that asks for a turn, and keeps it.
struct client {
  std::weak_ptr<wait_point> waits_at;
  std::optional<turn> got;

  void ask(asio::io_context& loop, auth_throttle& throttle, std::optional<auth_applicant> from) {
    asio::co_spawn(loop, run(loop, throttle, from), asio::detached);
    loop.restart();
    loop.poll();
  }
  [[nodiscard]] bool is_in() const { return got && got->how == outcome::entered; }

 private:
  task<void> run(asio::io_context& loop, auth_throttle& throttle, std::optional<auth_applicant> from) {
    got = co_await throttle.enter(loop.get_executor(), from, waits_at);
  }
};

struct fixture {
  auth_throttle throttle{admission::bounds{.at_a_time = 1, .of_one_neighbourhood = 1, .waiting = 2}};
  asio::io_context one{1}, other{1};
  std::deque<client> clients;

  client& ask(asio::io_context& loop, std::optional<auth_applicant> from = std::nullopt) {
    clients.emplace_back().ask(loop, throttle, from);
    return clients.back();
  }
  void poll() {
    for (auto* loop : {&one, &other}) {
      loop->restart();
      loop->poll();
    }
  }
};

}  // namespace

TEST_CASE("a place that is given back goes to who waits, in whatever loop") {
  fixture f;
  client& first = f.ask(f.one);
  client& second = f.ask(f.other);
  client& third = f.ask(f.one);
  CHECK(first.is_in());
  CHECK_FALSE(second.got);
  CHECK(f.ask(f.other).got->how == outcome::refused);

  first.got->held = {};
  f.poll();
  CHECK(second.is_in());
  CHECK_FALSE(third.got);
  second.got->held = {};
  f.poll();
  CHECK(third.is_in());
}

TEST_CASE("who gives up leaves the queue") {
  fixture f;
  client& first = f.ask(f.one);
  client& second = f.ask(f.other);
  client& third = f.ask(f.one);
  second.waits_at.lock()->cancel();
  f.poll();
  CHECK(second.got->how == outcome::cancelled);
  first.got->held = {};
  f.poll();
  CHECK(third.is_in());
}

TEST_CASE("a place that comes too late goes to the next") {
  fixture f;
  client& first = f.ask(f.one);
  client& second = f.ask(f.other);
  client& third = f.ask(f.one);
  first.got->held = {};  // given to the second, which has not heard of it
  second.waits_at.lock()->cancel();
  f.poll();
  f.poll();
  CHECK((second.is_in() || third.is_in()));
  if (second.is_in()) second.got->held = {};
  f.poll();
  CHECK(third.is_in());
}

TEST_CASE("a session that is destroyed while it waits leaves the queue") {
  auth_throttle throttle{admission::bounds{.at_a_time = 1, .of_one_neighbourhood = 1, .waiting = 9}};
  asio::io_context one{1};
  client first, third;
  first.ask(one, throttle, std::nullopt);
  {
    asio::io_context other{1};
    client second;
    second.ask(other, throttle, std::nullopt);
  }
  third.ask(one, throttle, std::nullopt);
  first.got->held = {};
  one.restart();
  one.poll();
  CHECK(third.is_in());
}

TEST_CASE("who was wrong waits, others do not") {
  fixture f;
  const auto wrong = by("192.0.2.1");
  const auto begin = clock::now();
  for (int i = 0; i < 3; ++i) f.throttle.failed(wrong, clock::now());
  for (int i = 0; i < 9; ++i) f.throttle.failed(std::nullopt, clock::now());

  client& delayed = f.ask(f.one, wrong);
  CHECK_FALSE(delayed.got);
  CHECK(f.ask(f.one, by("192.0.2.2")).is_in());
  f.clients.back().got->held = {};
  CHECK(f.ask(f.one, std::nullopt).is_in());
  f.clients.back().got->held = {};
  f.one.restart();
  f.one.run();
  CHECK(delayed.is_in());
  CHECK(clock::now() - begin >= failure_delays::first_delay);
}

namespace {

// Verdicts that are there and have yet to be told.
struct verdicts {
  auth_throttle throttle;
  std::map<outcome, int> came;
  std::deque<std::weak_ptr<wait_point>> waits;
  asio::io_context loop{1};  // ends first, with those that wait in it

  void settle(int count, bool is_right, std::string_view from = "192.0.2.1", std::string_view role = "app") {
    for (int i = 0; i < count; ++i) asio::co_spawn(loop, run(is_right, by(from, role)), asio::detached);
    run_for(0ms);
  }
  void run_for(std::chrono::milliseconds time) {
    loop.restart();
    loop.run_for(time);
    loop.poll();
  }
  [[nodiscard]] int told() { return came[outcome::entered]; }

 private:
  task<void> run(bool is_right, auth_applicant from) {
    auto& waits_at = waits.emplace_back();
    const auto how = co_await throttle.settle(loop.get_executor(), from, is_right, waits_at);
    ++came[how];
  }
};

}  // namespace

TEST_CASE("of many who were wrong at once, one is told per delay, few wait and the others are refused") {
  verdicts f;
  f.settle(1000, false);
  CHECK(f.told() == 3);  // two are free, and the third has the first delay
  CHECK(f.came[outcome::refused] == 1000 - f.told() - static_cast<int>(auth_throttle::most_delayed_of_one));
  const auto begin = clock::now();
  while (f.told() == 3 && clock::now() < begin + 10s) f.run_for(10ms);
  CHECK(f.told() == 4);  // the delay is 1 s from here
  f.settle(1, true);
  CHECK(f.told() == 4);  // nor is who is right
  f.settle(9, true, "192.0.2.2");
  CHECK(f.told() == 13);
  f.settle(9, true, "192.0.2.1", "another");
  CHECK(f.told() == 22);
}

TEST_CASE("of one neighbourhood that goes through roles, some wait and the others are refused") {
  verdicts f;
  for (int i = 0; i < 1000; ++i) f.settle(1, false, "192.0.2.1", "role " + std::to_string(i));
  CHECK(f.told() == static_cast<int>(failure_delays::free_of_neighbourhood) + 1);
  CHECK(f.came[outcome::refused] == 1000 - f.told() - static_cast<int>(auth_throttle::most_delayed_of_neighbourhood));
  f.settle(9, true, "192.0.2.2");
  CHECK(f.told() == static_cast<int>(failure_delays::free_of_neighbourhood) + 10);
}

TEST_CASE("who is right is told at once, however many they are, where nobody was wrong or the delay is over") {
  verdicts f;
  f.settle(1000, true);
  CHECK(f.told() == 1000);
  f.settle(3, false);
  f.settle(20, true);
  CHECK(f.told() == 1003);
  const auto begin = clock::now();
  while (f.told() == 1003 && clock::now() < begin + 10s) f.run_for(10ms);
  CHECK(f.told() == 1023);
  f.settle(1000, true);
  CHECK(f.told() == 2023);
}

TEST_CASE("who waited for a place while others of its address failed waits for the delay as well") {
  fixture f;
  const auto wrong = by("192.0.2.1");
  client& first = f.ask(f.one, wrong);
  client& second = f.ask(f.one, wrong);
  for (int i = 0; i < 3; ++i) f.throttle.failed(wrong, clock::now());
  first.got->held = {};
  f.poll();
  CHECK_FALSE(second.got);
  CHECK(f.ask(f.one, by("192.0.2.2")).is_in());  // nor does it hold a place meanwhile
  f.clients.back().got->held = {};
  f.one.restart();
  f.one.run();
  CHECK(second.is_in());
}

TEST_CASE("a delay can be cut short") {
  fixture f;
  const auto wrong = by("2001:db8::1");
  for (int i = 0; i < 9; ++i) f.throttle.failed(wrong, clock::now());
  client& delayed = f.ask(f.one, by("2001:db8::2"));  // of the same /64
  REQUIRE_FALSE(delayed.got);
  delayed.waits_at.lock()->cancel();
  f.poll();
  CHECK(delayed.got->how == outcome::cancelled);
}

}  // namespace auth_throttle_test
