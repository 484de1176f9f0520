// The ledger against a reference that does everything by looking through all there is: random operations, and after
// each the same grants, in the same order of tenants, with the same connections and victims; budgets kept; nobody
// waiting who could be served. What the reference leaves open is only which of two tenants with equal shares is first.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tests/proxy/seated_ledger.hpp"

namespace pool_ledger_model_test {

using namespace proxy;
using namespace std::chrono_literals;
using kind = grant::kind;

namespace {

struct dice {
  std::mt19937 engine;
  unsigned below(unsigned n) { return static_cast<unsigned>(engine() % n); }
  bool once_in(unsigned n) { return below(n) == 0; }
  template <class Map>
  auto one_of(const Map& map) {
    return std::next(map.begin(), below(static_cast<unsigned>(map.size())));
  }
};

struct reference {
  struct connection {
    pool_key key;
    std::string place, tenant;
    std::uint64_t state = 0;
    unsigned worker = 0;
    bool idle = false;
    std::uint64_t used = 0;  // a stamp that grows
  };
  struct terms {
    std::optional<std::uint32_t> most;
    std::uint32_t minimum = 0, weight = 1;
    bool heard_of = false;  // by a wish: until then the ledger knows the minimum it was told, and no limit
  };

  std::optional<std::uint32_t> most;
  std::map<connection_id, connection> connections;
  std::map<waiter_id, connection_wish> waiting;  // ids grow, so this is the order of arrival
  std::map<std::string, terms> tenants;
  std::map<std::string, std::optional<std::uint32_t>> places;
  std::uint64_t stamp = 0;

  template <class Predicate>
  [[nodiscard]] std::size_t count(const Predicate& is_it) const {
    return static_cast<std::size_t>(std::ranges::count_if(connections, [&](const auto& c) { return is_it(c.second); }));
  }
  [[nodiscard]] std::size_t lent() const {
    return count([](const auto& c) { return !c.idle; });
  }
  [[nodiscard]] std::size_t lent_to(const std::string& tenant) const {
    return count([&](const auto& c) { return !c.idle && c.tenant == tenant; });
  }
  [[nodiscard]] std::size_t lent_in(const std::string& place) const {
    return count([&](const auto& c) { return !c.idle && c.place == place; });
  }
  [[nodiscard]] std::size_t total_in(const std::string& place) const {
    return count([&](const auto& c) { return c.place == place; });
  }
  [[nodiscard]] bool is_full(const std::string& place) const {
    const auto& size = places.at(place);
    return size && total_in(place) >= *size;
  }
  [[nodiscard]] bool can_serve(const connection_wish& wish) const {
    const auto& of = tenants.at(wish.tenant);
    const auto& size = places.at(wish.place);
    if (of.most && lent_to(wish.tenant) >= *of.most) return false;
    if (size && lent_in(wish.place) >= *size) return false;
    if (!most) return true;
    if (lent() >= *most) return false;
    if (lent_to(wish.tenant) < of.minimum) return true;
    std::size_t reserved = 0;
    for (const auto& [name, one] : tenants) {
      const std::size_t due = one.most && one.heard_of ? std::min(one.minimum, *one.most) : one.minimum;
      reserved += due - std::min(due, lent_to(name));
    }
    return *most - lent() > std::min<std::size_t>(reserved, *most - 1);
  }
  // The share of the tenant that asks: less is better.
  [[nodiscard]] double share(const connection_wish& wish) const {
    return static_cast<double>(lent_to(wish.tenant)) / tenants.at(wish.tenant).weight;
  }

  // How this wish is to be granted, if it is now.
  [[nodiscard]] grant expect(const connection_wish& wish) const {
    const bool full = is_full(wish.place);
    grant expected{.how = kind::use, .who = wish.who};
    const connection* best = nullptr;
    std::tuple<int, bool, std::uint64_t> best_rank;
    for (const auto& [id, one] : connections) {
      if (!one.idle || one.key != wish.key || (full && one.place != wish.place)) continue;
      const int degree = id == wish.only ? 0 : one.state == wish.state ? 1 : one.tenant == wish.tenant ? 2 : 3;
      const std::tuple rank(degree, one.worker != wish.worker, degree == 1 ? ~one.used : one.used);
      if (best == nullptr || rank < best_rank) {
        best = &one;
        best_rank = rank;
        expected.connection = id;
      }
    }
    if (best != nullptr) return expected;
    expected.how = kind::open;
    if (!full && (!most || connections.size() < *most)) return expected;
    expected.how = kind::replace;
    for (const auto& [id, one] : connections) {
      if (!one.idle || (full && one.place != wish.place)) continue;
      if (expected.victim == 0 || one.used < connections.at(expected.victim).used) expected.victim = id;
    }
    return expected;
  }

  void carry_out(const grant& got, const connection_wish& wish) {
    const grant expected = expect(wish);
    REQUIRE(can_serve(wish));
    REQUIRE(got.who == wish.who);
    REQUIRE(got.how == expected.how);
    REQUIRE(got.victim == expected.victim);
    if (got.how == kind::use) {
      REQUIRE(got.connection == expected.connection);
    } else {
      REQUIRE_FALSE(connections.contains(got.connection));
      if (got.victim != 0) REQUIRE(connections.erase(got.victim) == 1);
      connections[got.connection].key = wish.key;
    }
    connection& one = connections.at(got.connection);
    REQUIRE_FALSE((got.how == kind::use && !one.idle));
    one.place = wish.place;
    one.tenant = wish.tenant;
    one.worker = wish.worker;
    one.idle = false;
  }
  // `near`: the worker of the connection that came back. Who waits there may be first, before others of its tenant.
  void carry_out(const ledger::grants& all, std::optional<unsigned> near = std::nullopt) {
    for (const auto& got : all) {
      const auto found = waiting.find(got.who);
      REQUIRE(found != waiting.end());
      const connection_wish wish = found->second;
      for (const auto& [id, other] : waiting) {
        if (!can_serve(other)) continue;
        REQUIRE(share(wish) <= share(other));
        if (other.tenant == wish.tenant && wish.who > id) {
          REQUIRE(near);
          REQUIRE(wish.worker == *near);
          REQUIRE((other.worker != wish.worker || other.key != wish.key || other.place != wish.place));
        }
      }
      near.reset();
      waiting.erase(found);
      carry_out(got, wish);
    }
  }
};

struct play {
  explicit play(unsigned seed) : random{std::mt19937(seed)} {
    limited = !random.once_in(4);
    if (limited) expected.most = 3 + random.below(10);
    books.emplace(expected.most);
    for (unsigned i = 0; i < 8; ++i) {
      auto& one = expected.tenants[i == 0 ? "" : "t" + std::to_string(i)];
      if (random.once_in(3)) one.most = 1 + random.below(4);
      if (random.once_in(4)) one.minimum = 1 + random.below(2);
      one.weight = 1 + random.below(3);
      REQUIRE(books->set_minimum(i == 0 ? "" : "t" + std::to_string(i), one.minimum).empty());
    }
    for (unsigned i = 0; i < 4; ++i) {
      auto& size = expected.places["p" + std::to_string(i)];
      if (!random.once_in(3)) size = 1 + random.below(6);
    }
  }

  void ask() {
    connection_wish wish;
    wish.who = next_waiter++;
    wish.tenant = random.one_of(expected.tenants)->first;
    wish.place = random.one_of(expected.places)->first;
    // Two places share a database, one has three of its own.
    wish.key.dbname = wish.place == "p3" ? "d" + std::to_string(random.below(3)) : wish.place == "p2" ? "e" : "f";
    wish.key.user = random.once_in(4) ? "u" : "v";
    wish.state = random.below(6);
    wish.worker = random.below(3);
    if (random.once_in(8) && !expected.connections.empty()) wish.only = random.one_of(expected.connections)->first;
    if (random.once_in(100)) expected.places[wish.place] = 1 + random.below(6);
    auto& of = expected.tenants[wish.tenant];
    if (random.once_in(100)) of = {1 + random.below(4), random.below(3), 1 + random.below(3)};
    of.heard_of = true;
    wish.place_size = expected.places[wish.place];
    wish.tenant_connections = of.most;
    wish.tenant_minimum = of.minimum;
    wish.weight = of.weight;
    const auto got = books->ask(wish);
    expected.carry_out(books->granted());
    // Those who were let in by the wish's limits went first; who asks is granted what is left.
    REQUIRE(got.has_value() == expected.can_serve(wish));
    if (got) {
      expected.carry_out(*got, wish);
    } else {
      expected.waiting[wish.who] = wish;
    }
  }

  void give_back() {
    const auto lent = pick(false);
    if (!lent) return;
    const std::uint64_t state = random.below(6);
    auto& one = expected.connections.at(*lent);
    one.idle = true;
    one.state = state;
    one.used = ++expected.stamp;
    const unsigned worker = one.worker;
    expected.carry_out(books->give_back(*lent, state, at(one.used)), worker);
  }

  void close(bool idle) {
    const auto which = pick(idle);
    if (!which) return;
    expected.connections.erase(*which);
    expected.carry_out(books->closed(*which));
  }

  void withdraw() {
    if (expected.waiting.empty() || random.once_in(5)) {
      const waiter_id gone = random.below(static_cast<unsigned>(next_waiter));
      REQUIRE(books->withdraw(gone) == (expected.waiting.erase(gone) == 1));
      return;
    }
    const auto who = random.one_of(expected.waiting)->first;
    expected.waiting.erase(who);
    REQUIRE(books->withdraw(who));
  }

  void reload() {
    if (random.once_in(2) && limited) {
      expected.most = 2 + random.below(12);
      expected.carry_out(books->set_most_connections(expected.most));
    } else {
      auto& [name, of] = *std::next(expected.tenants.begin(), random.below(8));
      of.minimum = random.below(3);
      expected.carry_out(books->set_minimum(name, of.minimum));
    }
  }

  void retire() {
    const auto before = expected.stamp > 30 ? expected.stamp - 30 : 0;
    for (const connection_id id : books->retire(at(before), {})) {
      const auto found = expected.connections.find(id);
      REQUIRE(found != expected.connections.end());
      const auto& one = found->second;
      REQUIRE(one.idle);
      const auto& size = expected.places.at(one.place);
      REQUIRE((one.used < before || (size && expected.total_in(one.place) > *size) ||
               (expected.most && expected.connections.size() > *expected.most)));
      expected.connections.erase(found);
    }
    const bool over = expected.most && expected.connections.size() > *expected.most;
    REQUIRE_FALSE((over && expected.lent() < expected.connections.size()));
  }

  // After every operation.
  void check(std::size_t connections_before, const std::map<std::string, std::size_t>& in_places_before) {
    const auto counted = books->count();
    REQUIRE(counted.lent == expected.lent());
    REQUIRE(counted.idle == expected.connections.size() - expected.lent());
    REQUIRE(counted.waiting == expected.waiting.size());
    for (const auto& [id, wish] : expected.waiting) REQUIRE_FALSE(expected.can_serve(wish));
    // What is over a budget that was lowered never grows.
    if (expected.most) {
      REQUIRE(expected.connections.size() <= std::max<std::size_t>(*expected.most, connections_before));
    }
    for (const auto& [name, size] : expected.places) {
      if (size) REQUIRE(expected.total_in(name) <= std::max<std::size_t>(*size, in_places_before.at(name)));
    }
    for (const auto& [name, of] : expected.tenants) {
      REQUIRE(books->count(name).lent == expected.lent_to(name));
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::size_t before = expected.connections.size();
      std::map<std::string, std::size_t> in_places;
      for (const auto& [name, size] : expected.places) in_places[name] = expected.total_in(name);
      step();
      check(before, in_places);
    }
  }

 private:
  void step() {
    const unsigned what = random.below(100);
    if (what < 45) return ask();
    if (what < 85) return give_back();
    if (what < 89) return close(false);
    if (what < 91) return close(true);
    if (what < 96) return withdraw();
    if (what < 98) return retire();
    reload();
  }
  std::optional<connection_id> pick(bool idle) {
    std::vector<connection_id> all;
    for (const auto& [id, one] : expected.connections) {
      if (one.idle == idle) all.push_back(id);
    }
    if (all.empty()) return std::nullopt;
    return all[random.below(static_cast<unsigned>(all.size()))];
  }
  static ledger::time_point at(std::uint64_t stamp) { return ledger::time_point(std::chrono::seconds(stamp)); }

  dice random;
  bool limited = true;
  reference expected;
  std::optional<seated_ledger> books;
  waiter_id next_waiter = 1;
};

}  // namespace

TEST_CASE("ledger: random operations give what the reference says") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    play one(seed);
    one.run(500);
  }
}

}  // namespace pool_ledger_model_test
