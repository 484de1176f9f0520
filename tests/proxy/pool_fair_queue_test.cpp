// The waiting queue alone: order within and across tenants, virtual time, gates; and the heap and the roster below.
#include "proxy/pool/fair_queue.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <random>
#include <set>
#include <utility>

#include "proxy/pool/roster.hpp"

namespace pool_fair_queue_test {

using namespace proxy;
using standing = fair_queue::standing;

namespace {

struct someone : fair_queue::waiter {
  explicit someone(int n) : number(n) {}
  int number;
};

struct fixture {
  std::deque<someone> people;  // outlive the queue's flows
  fair_queue::flow a, b, c;
  fair_queue::gate hall, yard;
  fair_queue queue;

  someone& push(int number, fair_queue::flow& of) { return push(number, of, hall); }
  someone& push(int number, fair_queue::flow& of, fair_queue::gate& before) {
    someone& who = people.emplace_back(number);
    queue.push(who, of, before);
    return who;
  }
  // Serves the next; 0 if there is none.
  int take(bool guaranteed_only = false) {
    auto* const next = queue.next(guaranteed_only);
    if (next == nullptr) return 0;
    queue.take(*next);
    return static_cast<someone*>(next)->number;
  }
  void set_lent(fair_queue::flow& of, std::uint32_t lent) {
    of.lent = lent;
    queue.reposition(of);
  }
  void set_open(fair_queue::gate& one, bool open) {
    one.open = open;
    queue.reposition(one);
  }
};

}  // namespace

TEST_CASE("fair queue: within a tenant, first come first served") {
  fixture f;
  CHECK(f.take() == 0);
  for (int i = 1; i <= 3; ++i) f.push(i, f.a);
  CHECK(f.queue.size() == 3);
  CHECK(f.a.waiting == 3);
  for (int i = 1; i <= 3; ++i) CHECK(f.take() == i);
  CHECK(f.queue.empty());
  CHECK(f.a.waiting == 0);
}

TEST_CASE("fair queue: who has fewest for its weight is next") {
  fixture f;
  f.a.lent = 5;
  f.b.lent = 2;
  f.c.lent = 6;
  f.c.weight = 4;  // 1.5
  f.push(1, f.a);
  f.push(2, f.b);
  f.push(3, f.c);
  CHECK(f.take() == 3);
  CHECK(f.take() == 2);
  f.push(4, f.b);
  f.set_lent(f.a, 1);
  CHECK(f.take() == 1);
  CHECK(f.take() == 4);
}

TEST_CASE("fair queue: large counts and weights do not overflow") {
  fixture f;
  f.a.lent = 4'294'967'295;
  f.a.weight = 1;
  f.b.lent = 4'294'967'294;
  f.b.weight = 4'294'967'295;
  f.push(1, f.a);
  f.push(2, f.b);
  CHECK(f.take() == 2);
  CHECK(f.take() == 1);
}

TEST_CASE("fair queue: among equals virtual time decides: grants are in proportion to weights") {
  fixture f;
  f.a.weight = 3;
  int of_a = 0;
  for (int i = 0; i < 4; ++i) {
    f.push(1, f.a);
    f.push(2, f.b);
  }
  for (int i = 0; i < 400; ++i) {
    const int got = f.take();
    of_a += got == 1;
    f.push(got, got == 1 ? f.a : f.b);
  }
  CHECK(of_a >= 298);
  CHECK(of_a <= 302);
}

TEST_CASE("fair queue: who stays away saves up no credit") {
  fixture f;
  f.push(1, f.a);
  f.push(2, f.b);
  CHECK(f.take() == 1);
  CHECK(f.take() == 2);
  for (int i = 0; i < 100; ++i) {  // a alone
    f.push(1, f.a);
    CHECK(f.take() == 1);
  }
  for (int i = 0; i < 10; ++i) {
    f.push(1, f.a);
    f.push(2, f.b);
  }
  int of_b = 0;
  for (int i = 0; i < 10; ++i) of_b += f.take() == 2;
  CHECK(of_b >= 5);
  CHECK(of_b <= 6);
}

TEST_CASE("fair queue: grants without waiting are charged too") {
  fixture f;
  for (int i = 0; i < 3; ++i) f.queue.charge(f.a);
  f.push(1, f.a);
  f.push(2, f.b);
  CHECK(f.take() == 2);
}

TEST_CASE("fair queue: a barred flow and a closed gate hold up nobody") {
  fixture f;
  f.push(1, f.a);
  f.push(2, f.b, f.yard);
  f.push(3, f.c);
  f.a.stands = standing::barred;
  f.queue.reposition(f.a);
  f.set_open(f.yard, false);
  CHECK(f.take() == 3);
  CHECK(f.take() == 0);
  f.set_open(f.yard, true);
  CHECK(f.take() == 2);
  f.a.stands = standing::ordinary;
  f.queue.reposition(f.a);
  CHECK(f.take() == 1);
}

TEST_CASE("fair queue: a tenant may wait before several gates") {
  fixture f;
  f.push(1, f.a, f.hall);
  f.push(2, f.a, f.yard);
  f.push(3, f.a, f.hall);
  f.set_open(f.hall, false);
  CHECK(f.take() == 2);
  CHECK(f.take() == 0);
  f.set_open(f.hall, true);
  f.push(4, f.a, f.yard);
  CHECK(f.take() == 1);
  CHECK(f.take() == 3);
  CHECK(f.take() == 4);
}

TEST_CASE("fair queue: the guaranteed are found when nobody else may") {
  fixture f;
  f.a.stands = standing::guaranteed;
  f.a.lent = 9;
  f.push(1, f.a);
  f.push(2, f.b);
  f.push(3, f.c);
  CHECK(f.take(true) == 1);
  CHECK(f.take(true) == 0);
  f.push(4, f.a);
  CHECK(f.take(false) == 2);
  CHECK(f.take(false) == 3);
  CHECK(f.take(false) == 4);
}

TEST_CASE("fair queue: who withdraws is not served, first, middle or last") {
  fixture f;
  auto& one = f.push(1, f.a);
  f.push(2, f.a);
  auto& three = f.push(3, f.a);
  f.push(4, f.a);
  auto& five = f.push(5, f.a);
  for (auto* who : {&one, &three, &five}) f.queue.withdraw(*who);
  CHECK(f.queue.size() == 2);
  CHECK(f.take() == 2);
  CHECK(f.take() == 4);
  CHECK(f.take() == 0);
  f.queue.push(one, f.a, f.hall);  // and may come again
  CHECK(f.take() == 1);
}

TEST_CASE("ranked heap: sets, moves and erases like an ordered set") {
  struct item : heap_item {
    unsigned rank = 0;
  };
  std::deque<item> items(200);
  ranked_heap<unsigned, item> heap;
  std::multiset<unsigned> expected;
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    item& one = items[random() % items.size()];
    if (one.is_in_heap()) expected.erase(expected.find(one.rank));
    if (random() % 3 == 0) {
      heap.erase(one);
    } else {
      one.rank = static_cast<unsigned>(random() % 100);
      heap.set(one, one.rank);
      expected.insert(one.rank);
    }
    REQUIRE(heap.empty() == expected.empty());
    if (!heap.empty()) {
      REQUIRE(heap.best_rank() == *expected.begin());
      REQUIRE(heap.best().rank == heap.best_rank());
    }
  }
}

namespace {

struct row : roster_entry<int, row> {
  int value = 0;
};

}  // namespace

TEST_CASE("roster: what is held stays, of the rest the latest are remembered") {
  roster<int, row> names;
  const auto held = names.enrol(0);
  held->value = 7;
  constexpr int most = roster<int, row>::most_unheld;
  for (int i = 1; i <= most; ++i) names.enrol(i);
  CHECK(names.size() == most + 1);
  {
    const auto again = names.enrol(1);
  }  // not the one let go of first any more
  for (int i = 0; i < 2; ++i) names.enrol(most + 1 + i);
  CHECK(names.size() == most + 1);
  CHECK(names.find(1) != nullptr);
  CHECK(names.find(2) == nullptr);
  CHECK(names.find(3) == nullptr);
  CHECK(names.find(4) != nullptr);
  CHECK(names.enrol(0)->value == 7);

  auto copy = held;
  copy = names.enrol(0);
  const auto moved = std::move(copy);
  CHECK(moved->value == 7);
}

}  // namespace pool_fair_queue_test
