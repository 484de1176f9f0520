#include "proxy/lookout.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <vector>

namespace lookout_test {

namespace {

using namespace std::chrono_literals;

constexpr proxy::clock::time_point begin{1h};

// Three of them, who leave at the end.
struct house {
  proxy::lookout lookout;
  std::array<proxy::lookout::resident, 3> residents;
  proxy::lookout::resident &a = residents[0], &b = residents[1], &c = residents[2];

  house() {
    for (auto& one : residents) lookout.enter(one);
  }
  ~house() {
    for (auto& one : residents) lookout.leave(one);
  }
  house(const house&) = delete;
  house& operator=(const house&) = delete;

  using row = std::vector<const proxy::lookout::resident*>;
  // Who is looked at in one round.
  row round() {
    row seen;
    for (std::size_t left = lookout.awake(); left > 0; --left) seen.push_back(lookout.next());
    return seen;
  }
};

}  // namespace

TEST_CASE("everybody has a turn") {
  house h;
  CHECK(h.round() == house::row{&h.a, &h.b, &h.c});
  CHECK(h.round() == house::row{&h.a, &h.b, &h.c});
}

TEST_CASE("who rests is not looked at until it is roused") {
  house h;
  h.lookout.rest(h.b, begin);
  CHECK(h.b.rests());
  CHECK(h.round() == house::row{&h.a, &h.c});
  h.lookout.rest(h.a, begin);
  h.lookout.rest(h.c, begin);
  CHECK(h.lookout.awake() == 0);
  CHECK(h.lookout.next() == nullptr);
  h.lookout.rouse(h.b);
  h.lookout.rouse(h.b);
  CHECK_FALSE(h.b.rests());
  CHECK(h.round() == house::row{&h.b});
}

TEST_CASE("those who have been idle for too long are roused, in whatever order they came to rest") {
  house h;
  h.lookout.rest(h.a, begin + 2s);
  h.lookout.rest(h.b, begin + 1s);
  h.lookout.rest(h.c, begin + 3s);
  h.lookout.rouse_idle_since(begin);
  CHECK(h.lookout.awake() == 0);
  h.lookout.rouse_idle_since(begin + 1s);
  CHECK(h.round() == house::row{&h.b});
  h.lookout.rouse_idle_since(begin + 2500ms);
  CHECK(h.round() == house::row{&h.b, &h.a});
  CHECK(h.c.rests());
}

TEST_CASE("who was roused for nothing does not have its place looked for among thousands") {
  house h;
  std::vector<proxy::lookout::resident> crowd(1000);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    h.lookout.enter(crowd[i]);
    h.lookout.rest(crowd[i], begin + std::chrono::seconds(i));
  }
  h.lookout.rest(h.a, begin);
  CHECK_FALSE(h.a.rests());
  h.lookout.rest(h.b, begin + 999s);
  CHECK(h.b.rests());
  for (auto& one : crowd) h.lookout.leave(one);
}

}  // namespace lookout_test
