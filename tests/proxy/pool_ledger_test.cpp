// The ledger by example: who gets which connection, what budgets, minima and weights do, and the order of who waits.
// `pool_ledger_model_test.cpp` compares it with a brute-force reference.
#include "proxy/pool/ledger.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <utility>

#include "tests/proxy/seated_ledger.hpp"

namespace pool_ledger_test {

using namespace proxy;
using namespace std::chrono_literals;
using kind = grant::kind;

namespace {

const ledger::time_point start{1h};

// A wish of a tenant for the shared database; what a test is about it changes.
connection_wish by(waiter_id who, std::string tenant, std::uint64_t state = 1) {
  connection_wish wish;
  wish.who = who;
  wish.key = {"saas", "app"};
  wish.place = "shared";
  wish.tenant = std::move(tenant);
  wish.state = state;
  wish.since = start;
  return wish;
}
connection_wish with(connection_wish wish, const auto&... changes) {
  (changes(wish), ...);
  return wish;
}
auto in(const std::string& place) {
  return [place](connection_wish& w) { w.place = place; };
}
auto size(std::uint32_t n) {
  return [n](connection_wish& w) { w.place_size = n; };
}
auto most(std::uint32_t n) {
  return [n](connection_wish& w) { w.tenant_connections = n; };
}
auto minimum(std::uint32_t n) {
  return [n](connection_wish& w) { w.tenant_minimum = n; };
}
auto weight(std::uint32_t n) {
  return [n](connection_wish& w) { w.weight = n; };
}
auto worker(unsigned n) {
  return [n](connection_wish& w) { w.worker = n; };
}
auto db(const std::string& name) {
  return [name](connection_wish& w) { w.key.dbname = name; };
}
auto own() {
  return [](connection_wish& w) { w.own = true; };
}
auto only(connection_id id) {
  return [id](connection_wish& w) { w.only = id; };
}

// Opens connections for these wishes and gives them back, in this order.
std::vector<connection_id> stock(seated_ledger& books, const std::vector<connection_wish>& wishes) {
  std::vector<connection_id> made;
  made.reserve(wishes.size());
  for (const auto& wish : wishes) made.push_back(books.ask(wish).value().connection);
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    CHECK(books.give_back(made[i], wishes[i].state, start + i * 1s).empty());
  }
  return made;
}
connection_id use(seated_ledger& books, const connection_wish& wish) {
  const auto got = books.ask(wish);
  REQUIRE(got);
  CHECK(got->how == kind::use);
  return got->connection;
}

}  // namespace

TEST_CASE("whether an idle connection wears a state, by key") {
  seated_ledger books(std::nullopt);
  stock(books, {by(1, "a", 1), with(by(2, "b", 2), db("other"))});
  const pool_key here{"saas", "app", {}};
  CHECK(books.has_idle(here, 1));
  CHECK_FALSE(books.has_idle(here, 2));
  CHECK(books.has_idle({"other", "app", {}}, 2));
  CHECK_FALSE(books.has_idle({"nowhere", "app", {}}, 1));
  REQUIRE(books.ask(by(3, "a", 1)));
  CHECK_FALSE(books.has_idle(here, 1));
}

TEST_CASE("ledger: by which bound somebody waits") {
  seated_ledger books(3);
  CHECK(books.bound_of("a", "shared") == bound::none);
  REQUIRE(books.ask(with(by(1, "a"), most(1), size(2))));
  CHECK(books.bound_of("a", "shared") == bound::tenant);
  CHECK(books.bound_of("b", "shared") == bound::none);
  const auto second = books.ask(with(by(2, "b"), size(2)));
  REQUIRE(second);
  CHECK(books.bound_of("a", "shared") == bound::tenant);
  CHECK(books.bound_of("b", "shared") == bound::place);
  CHECK(books.bound_of("b", "other") == bound::none);
  const auto third = books.ask(with(by(3, "b"), in("other")));
  REQUIRE(third);
  CHECK(books.bound_of("c", "other") == bound::server);
  books.opened(third->connection, start);
  CHECK(books.give_back(third->connection, 1, start).empty());
  CHECK(books.bound_of("c", "other") == bound::none);
  REQUIRE(books.ask(with(by(4, "c"), in("other"), minimum(2))));
  books.closed(second->connection);
  CHECK(books.bound_of("d", "other") == bound::minimum);
  CHECK(books.bound_of("c", "other") == bound::none);
}

TEST_CASE("ledger: opens, reuses, and opens no more than the server bears") {
  seated_ledger books(2);
  const auto first = books.ask(by(1, "a"));
  CHECK(first == grant{kind::open, 1, 1, 0});
  CHECK(books.count() == ledger::totals{.lent = 1, .opening = 1, .idle = 0, .waiting = 0});
  books.opened(1, start);
  CHECK(books.count() == ledger::totals{.lent = 1, .opening = 0, .idle = 0, .waiting = 0});
  CHECK(books.give_back(1, 1, start).empty());
  CHECK(books.count() == ledger::totals{.lent = 0, .opening = 0, .idle = 1, .waiting = 0});

  CHECK(books.ask(by(2, "b")) == grant{kind::use, 2, 1, 0});
  CHECK(books.ask(by(3, "b")) == grant{kind::open, 3, 2, 0});
  CHECK_FALSE(books.ask(by(4, "b")));
  CHECK(books.count("b") == ledger::totals{.lent = 2, .opening = 1, .idle = 0, .waiting = 1});
  CHECK(books.count("a") == ledger::totals{});
  CHECK(books.count("nobody") == ledger::totals{});
  const auto next = books.give_back(1, 1, start);
  CHECK(next == ledger::grants{{kind::use, 4, 1, 0}});
}

TEST_CASE("ledger: a connection that failed to open, or was lost, makes room for the next") {
  seated_ledger books(1);
  CHECK(books.ask(by(1, "a"))->connection == 1);
  CHECK_FALSE(books.ask(by(2, "a")));
  CHECK(books.closed(1) == ledger::grants{{kind::open, 2, 2, 0}});
  books.opened(2, start);
  CHECK(books.closed(2).empty());
  CHECK(books.count() == ledger::totals{});
  CHECK(books.closed(2).empty());
  CHECK(books.give_back(2, 1, start).empty());
  CHECK(books.count() == ledger::totals{});

  CHECK(books.ask(by(3, "a"))->how == kind::open);
  books.give_back(3, 1, start);
  CHECK(books.closed(3).empty());  // an idle one that the server closed
  CHECK(books.count() == ledger::totals{});
}

TEST_CASE("ledger: who wears the state is chosen first, then who served the tenant, then any") {
  seated_ledger books(9);
  const auto made = stock(books, {by(1, "a", 10), by(2, "b", 20), by(3, "c", 30), by(4, "a", 11)});
  CHECK(use(books, by(5, "x", 20)) == made[1]);
  CHECK(use(books, by(6, "a", 12)) == made[0]);  // the least recently used of the tenant
  CHECK(use(books, by(7, "y", 99)) == made[2]);  // the least recently used of all that are left
  CHECK(use(books, by(8, "y", 99)) == made[3]);
}

TEST_CASE("ledger: of those that wear the state the most recently used, of the own worker before") {
  seated_ledger books(9);
  const auto made = stock(books, {with(by(1, "a", 10), worker(1)), with(by(2, "a", 10), worker(0)),
                                  with(by(3, "a", 10), worker(1)), with(by(4, "a", 10), worker(0))});
  CHECK(use(books, with(by(5, "a", 10), worker(1))) == made[2]);
  CHECK(use(books, with(by(6, "a", 10), worker(2))) == made[3]);
  CHECK(use(books, with(by(7, "a", 10), worker(1))) == made[0]);
  CHECK(use(books, with(by(8, "a", 10), worker(1))) == made[1]);
}

TEST_CASE("ledger: the own worker counts among equals only") {
  seated_ledger books(9);
  const auto made = stock(books, {with(by(1, "a", 10), worker(0)), with(by(2, "b", 20), worker(1)),
                                  with(by(3, "a", 11), worker(0)), with(by(4, "c", 30), worker(1))});
  CHECK(use(books, with(by(5, "z", 10), worker(1))) == made[0]);
  CHECK(use(books, with(by(6, "a", 99), worker(1))) == made[2]);
  CHECK(use(books, with(by(7, "z", 99), worker(1))) == made[1]);
}

TEST_CASE("ledger: one that is asked for by name is given if it is idle") {
  seated_ledger books(9);
  const auto made = stock(books, {by(1, "a", 10), by(2, "a", 10), with(by(3, "a", 10), db("other"))});
  CHECK(use(books, with(by(4, "a", 10), only(made[0]))) == made[0]);
  CHECK(use(books, with(by(5, "a", 10), only(made[0]))) == made[1]);         // it is lent
  CHECK(books.ask(with(by(6, "a", 10), only(made[2])))->how == kind::open);  // it has another key
  CHECK(books.ask(with(by(7, "a", 10), only(4711)))->how == kind::open);
}

TEST_CASE("ledger: no connection is opened while an idle one merely wears other clothes") {
  seated_ledger books(std::nullopt);
  stock(books, {by(1, "a", 10)});
  CHECK(books.ask(by(2, "b", 20))->how == kind::use);
  CHECK(books.ask(by(3, "b", 20))->how == kind::open);
}

TEST_CASE("ledger: on a full server the least recently used of another key makes room, never a lent one") {
  seated_ledger books(3);
  const auto made = stock(books, {by(1, "a"), by(2, "a"), by(3, "a")});
  CHECK(books.ask(with(by(4, "b"), db("other"))) == grant{kind::replace, 4, 4, made[0]});
  CHECK(use(books, by(5, "a")) == made[2]);
  CHECK(books.ask(with(by(6, "b"), db("other"))) == grant{kind::replace, 6, 5, made[1]});
  CHECK_FALSE(books.ask(with(by(7, "b"), db("third"))));
  CHECK(books.count() == ledger::totals{.lent = 3, .opening = 2, .idle = 0, .waiting = 1});
  CHECK(books.give_back(made[2], 1, start) == ledger::grants{{kind::replace, 7, 6, made[2]}});
  CHECK(books.pools().size() == 2);
}

TEST_CASE("ledger: one for its client alone is a new one, and an idle one makes room for it") {
  seated_ledger books(2);
  const auto made = stock(books, {by(1, "a")});
  CHECK(books.ask(with(by(2, "a"), own())) == grant{kind::open, 2, 2, 0});
  CHECK(books.ask(with(by(3, "a"), own())) == grant{kind::replace, 3, 3, made[0]});
  CHECK_FALSE(books.ask(with(by(4, "a"), own())));
  CHECK_FALSE(books.ask(by(5, "a")));
  CHECK(books.closed(2) == ledger::grants{{kind::open, 4, 4, 0}});
  CHECK(books.give_back(3, 1, start) == ledger::grants{{kind::use, 5, 3, 0}});
}

TEST_CASE("ledger: one that nobody had before is no idle one, and is given back as any") {
  seated_ledger books(2);
  const auto made = stock(books, {by(1, "a"), by(2, "a")});
  auto fresh = by(3, "a");
  fresh.fresh = true;
  CHECK(books.ask(fresh) == grant{kind::replace, 3, 3, made[0]});
  books.opened(3, start);
  CHECK(books.give_back(3, 1, start).empty());
  CHECK_FALSE(books.connections().front().own);
  CHECK(books.ask(by(4, "a"))->how == kind::use);
}

TEST_CASE("ledger: in a full place one of its own makes room, whoever is older elsewhere") {
  seated_ledger books(9);
  const auto elsewhere = stock(books, {by(1, "a")});
  const auto made = stock(
      books, {with(by(2, "b"), in("small"), size(2), db("one")), with(by(3, "b"), in("small"), size(2), db("two"))});
  const auto third = with(by(4, "b"), in("small"), size(2), db("three"));
  CHECK(books.ask(third) == grant{kind::replace, 4, 4, made[0]});
  CHECK(books.ask(with(by(5, "b"), in("small"), size(2), db("two"))) == grant{kind::use, 5, made[1], 0});
  CHECK_FALSE(books.ask(with(by(6, "b"), in("small"), size(2), db("two"))));
  CHECK(books.ask(by(7, "a"))->connection == elsewhere[0]);
}

TEST_CASE("ledger: an idle connection comes over from another place of the same key, if there is room") {
  seated_ledger books(9);
  const auto made = stock(books, {with(by(1, "a"), in("other")), with(by(2, "a"), in("other"))});
  const auto wish = [](waiter_id who) { return with(by(who, "a"), in("small"), size(1)); };
  CHECK(use(books, wish(3)) == made[1]);
  CHECK_FALSE(books.ask(wish(4)));  // it counts here now
  CHECK(books.give_back(made[1], 1, start).at(0).who == 4);
  CHECK(books.give_back(made[1], 1, start).empty());
  CHECK(books.ask(with(wish(5), db("third"))) == grant{kind::replace, 5, 3, made[1]});
}

TEST_CASE("ledger: a tenant's limit holds up nobody else, and within it who came first is served") {
  seated_ledger books(9);
  CHECK(books.ask(with(by(1, "a"), most(1))));
  CHECK_FALSE(books.ask(with(by(2, "a"), most(1))));
  CHECK_FALSE(books.ask(with(by(3, "a"), most(1))));
  CHECK(books.ask(by(4, "b")));
  CHECK(books.give_back(2, 1, start).empty());  // idle, and yet they wait
  CHECK(books.give_back(1, 1, start).at(0).who == 2);
  CHECK(books.withdraw(3));
  CHECK_FALSE(books.withdraw(3));
  CHECK_FALSE(books.withdraw(2));
  CHECK(books.count().waiting == 0);
}

TEST_CASE("ledger: a polite tenant gets the next connection that is given back, however greedy the other") {
  seated_ledger books(8);
  std::deque<connection_id> lent;
  std::map<connection_id, waiter_id> whose;
  const auto note = [&](const grant& got) {
    lent.push_back(got.connection);
    whose[got.connection] = got.who;
  };
  for (waiter_id i = 1; i <= 60; ++i) {
    if (const auto got = books.ask(by(i, "greedy"))) note(*got);
  }
  REQUIRE(lent.size() == 8);
  const waiter_id polite = 100;
  bool waits = false;
  for (int turn = 0; turn < 1000; ++turn) {
    if (turn % 13 == 0 && !waits && std::ranges::none_of(lent, [&](auto id) { return whose[id] == polite; })) {
      REQUIRE_FALSE(books.ask(by(polite, "polite")));
      waits = true;
    }
    const auto back = lent.front();
    lent.pop_front();
    const auto got = books.give_back(back, 1, start);
    REQUIRE(got.size() == 1);
    if (waits) REQUIRE(got[0].who == polite);
    waits = false;
    const auto who = whose[back];
    note(got[0]);
    if (who != polite) REQUIRE_FALSE(books.ask(by(who, "greedy")));
  }
}

TEST_CASE("ledger: weights 3 to 1 give 3 to 1 of the grants") {
  const auto connections = GENERATE(1U, 4U, 8U, 16U);
  const auto lease = GENERATE(100us, 20ms);
  seated_ledger books(connections);
  std::deque<std::pair<connection_id, waiter_id>> lent;
  const auto wish = [](waiter_id who) { return who <= 100 ? with(by(who, "a"), weight(3)) : by(who, "b"); };
  for (waiter_id i = 1; i <= 200; ++i) {
    if (const auto got = books.ask(wish(i))) lent.emplace_back(got->connection, got->who);
  }
  int of_a = 0;
  constexpr int settling = 10000;  // a asked first, and keeps what it got for a turn
  constexpr int turns = 40000;
  for (int turn = 0; turn < settling + turns; ++turn) {
    const auto [back, who] = lent.front();
    lent.pop_front();
    const auto got = books.give_back(back, 1, start + turn * lease / connections);
    REQUIRE(got.size() == 1);
    of_a += turn >= settling && got[0].who <= 100;
    lent.emplace_back(got[0].connection, got[0].who);
    REQUIRE_FALSE(books.ask(wish(who)));
  }
  CHECK(of_a > turns * 0.73);
  CHECK(of_a < turns * 0.77);
}

TEST_CASE("ledger: a tenant keeps a connection for a turn while the others that wait have some, too") {
  seated_ledger books(2);
  const auto a = books.ask(by(1, "a"))->connection;
  REQUIRE(books.ask(by(2, "b")));
  for (waiter_id i = 11; i <= 20; ++i) CHECK_FALSE(books.ask(by(i, "b")));
  for (waiter_id i = 21; i <= 30; ++i) CHECK_FALSE(books.ask(by(i, "a")));
  // It is b's turn in the queue: its first came first.
  CHECK(books.give_back(a, 1, start + 1ms).at(0).who == 21);
  CHECK(books.give_back(a, 1, start + 29ms).at(0).who == 22);
  CHECK(books.give_back(a, 1, start + 30ms).at(0).who == 23);  // the only one of a: it has none without
  CHECK_FALSE(books.ask(by(31, "c")));
  CHECK(books.give_back(a, 1, start + 31ms).at(0).who == 31);  // who has none comes first
  CHECK(books.give_back(a, 1, start + 32ms).at(0).who == 24);
}

TEST_CASE("ledger: a connection goes to who waits at its own worker, unless another waits for twice as long") {
  const auto since = [](auto when) { return [when](connection_wish& w) { w.since = start + when; }; };
  seated_ledger books(1);
  const auto one = books.ask(with(by(1, "a"), worker(7)))->connection;
  CHECK_FALSE(books.ask(with(by(2, "a"), worker(8), since(0ms))));
  CHECK_FALSE(books.ask(with(by(3, "a"), worker(7), since(10ms))));
  CHECK_FALSE(books.ask(with(by(4, "a"), worker(8), since(11ms))));
  CHECK_FALSE(books.ask(with(by(5, "a"), worker(7), since(12ms))));
  CHECK(books.give_back(one, 1, start + 20ms).at(0).who == 3);
  CHECK(books.give_back(one, 1, start + 21ms).at(0).who == 2);  // 9 ms are not half of 21
  // Now it is at home at 8. The turn is over, and it makes no difference.
  CHECK(books.give_back(one, 1, start + 40ms).at(0).who == 4);
  CHECK(books.give_back(one, 1, start + 41ms).at(0).who == 5);  // nobody else is there
}

TEST_CASE("ledger: who waits at the worker of a connection of another key does not pass by anybody") {
  seated_ledger books(1);
  const auto one = books.ask(with(by(1, "a"), worker(7)))->connection;
  CHECK_FALSE(books.ask(with(by(2, "a"), worker(8))));
  CHECK_FALSE(books.ask(with(by(3, "a"), worker(7), db("crm"))));
  CHECK(books.give_back(one, 1, start + 10s).at(0).who == 2);
}

TEST_CASE("ledger: few are passed by for one who waits at the connection's worker") {
  const waiter_id passed = GENERATE(15U, 16U);
  seated_ledger books(1);
  const auto one = books.ask(with(by(1, "a"), worker(7)))->connection;
  for (waiter_id who = 2; who < 2 + passed; ++who) CHECK_FALSE(books.ask(with(by(who, "a"), worker(8))));
  CHECK_FALSE(books.ask(with(by(100, "a"), worker(7))));
  CHECK(books.give_back(one, 1, start + 10s).at(0).who == (passed == 15 ? 100 : 2));
}

TEST_CASE("ledger: a minimum is left free for its tenant by the others") {
  seated_ledger books(4);
  CHECK(books.set_minimum("vip", 2).empty());
  CHECK(books.ask(by(1, "a")));
  CHECK(books.ask(by(2, "a")));
  CHECK_FALSE(books.ask(by(3, "a")));
  CHECK(books.ask(with(by(4, "vip"), minimum(2))));
  CHECK(books.ask(with(by(5, "vip"), minimum(2))));
  CHECK_FALSE(books.ask(with(by(6, "vip"), minimum(2))));
  CHECK(books.give_back(3, 1, start).at(0).who == 6);
  CHECK(books.give_back(3, 1, start).empty());  // nobody but the vip may have it
  CHECK(books.ask(with(by(7, "vip"), minimum(2))));
  CHECK(books.give_back(1, 1, start).at(0).who == 3);  // with nothing lacking all the rest is free
}

TEST_CASE("ledger: a minimum that is lowered, or exceeds its tenant's limit, sets free what was reserved") {
  seated_ledger books(2);
  CHECK(books.set_minimum("vip", 1).empty());
  CHECK(books.ask(by(1, "a")));
  CHECK_FALSE(books.ask(by(2, "a")));
  SECTION("told") { CHECK(books.set_minimum("vip", 0).at(0).who == 2); }
  SECTION("by a wish of the tenant") {
    CHECK_FALSE(books.ask(by(3, "vip")));  // who waits is served before who asks
    CHECK(books.granted().at(0).who == 2);
    CHECK(books.granted().empty());
  }
  SECTION("by a wish of the tenant, and the grant comes with the next call") {
    CHECK_FALSE(books.ask(by(3, "vip")));
    const auto got = books.give_back(1, 1, start);
    REQUIRE(got.size() == 2);
    CHECK(got[0].who == 2);
    CHECK(got[1].who == 3);
  }
  SECTION("no more is reserved than the tenant may have") {
    CHECK_FALSE(books.ask(with(by(3, "vip"), minimum(1), most(0))));
    CHECK(books.granted().at(0).who == 2);
  }
}

TEST_CASE("ledger: minima beyond the budget do not shut the others out for good") {
  seated_ledger books(3);
  books.set_minimum("x", 2);
  books.set_minimum("y", 2);
  CHECK(books.ask(by(1, "a")));
  CHECK_FALSE(books.ask(by(2, "a")));
  for (waiter_id i = 3; i < 5; ++i) CHECK(books.ask(with(by(i, "x"), minimum(2))));
  CHECK_FALSE(books.ask(with(by(5, "y"), minimum(2))));
  CHECK(books.give_back(1, 1, start).at(0).who == 5);
}

TEST_CASE("ledger: without a budget of the server nothing is reserved") {
  seated_ledger books(std::nullopt);
  books.set_minimum("vip", 100);
  CHECK(books.ask(by(1, "a")));
  CHECK(books.ask(by(2, "a")));
}

TEST_CASE("ledger: raised limits serve who waits, lowered ones are reached by and by") {
  seated_ledger books(1);
  for (waiter_id i = 1; i <= 4; ++i) books.ask(with(by(i, "a"), size(3)));
  const auto raised = books.set_most_connections(9);
  REQUIRE(raised.size() == 2);
  CHECK(raised[0] == grant{kind::open, 2, 2, 0});
  CHECK(raised[1] == grant{kind::open, 3, 3, 0});
  CHECK(books.set_place_size("shared", 4).at(0).who == 4);

  CHECK(books.set_most_connections(2).empty());
  CHECK(books.should_close(1, start));
  CHECK(books.closed(1).empty());
  CHECK(books.give_back(2, 1, start).empty());
  CHECK_FALSE(books.should_close(3, start));  // the idle one is the surplus
  CHECK(books.retire(start, start) == std::vector<connection_id>{2});
  CHECK(books.set_place_size("shared", 1).empty());
  CHECK(books.should_close(3, start));
  CHECK(books.give_back(3, 1, start).empty());
  CHECK(books.retire(start, start) == std::vector<connection_id>{3});
  CHECK(books.set_place_size("unheard of", 1).empty());
  CHECK(books.count().lent == 1);
}

TEST_CASE("ledger: idle connections end when they have been idle for too long, or are too old") {
  seated_ledger books(9);
  const auto made = stock(books, {by(1, "a"), by(2, "a"), by(3, "a")});  // idle since start + 0, 1, 2 s
  CHECK(books.retire(start, start).empty());
  CHECK(books.retire(start + 1s, start) == std::vector<connection_id>{made[0]});
  CHECK(use(books, by(4, "a")) == made[2]);
  CHECK_FALSE(books.should_close(made[2], start + 2s));
  CHECK(books.should_close(made[2], start + 3s));
  CHECK(books.retire(start, start + 3s) == std::vector<connection_id>{made[1]});
  CHECK(books.count() == ledger::totals{.lent = 1, .opening = 0, .idle = 0, .waiting = 0});
}

TEST_CASE("ledger: counts by key, with who has stood in the queue for longest") {
  seated_ledger books(2);
  stock(books, {by(1, "a")});
  CHECK(books.ask(with(by(2, "a"), db("other"))));
  CHECK(books.ask(by(3, "a")));
  auto late = by(4, "a");
  late.since = start + 1s;
  CHECK_FALSE(books.ask(late));
  CHECK_FALSE(books.ask(by(5, "b")));
  auto pools = books.pools();
  std::ranges::sort(pools, {}, &ledger::pool_totals::key);
  REQUIRE(pools.size() == 2);
  CHECK(pools[0].key.dbname == "other");
  CHECK(static_cast<ledger::totals>(pools[0]) == ledger::totals{.lent = 1, .opening = 1, .idle = 0, .waiting = 0});
  CHECK_FALSE(pools[0].waiting_since);
  CHECK(static_cast<ledger::totals>(pools[1]) == ledger::totals{.lent = 1, .opening = 0, .idle = 0, .waiting = 2});
  CHECK(pools[1].waiting_since == start + 1s);
}

TEST_CASE("ledger: a place's idle connections are given up, and all are reported") {
  seated_ledger books(10);
  const auto there = stock(books, {by(1, "acme"), with(by(2, "acme"), in("other"), db("crm"))});
  const auto lent = books.ask(with(by(3, "globex"), db("third")));
  REQUIRE(lent);
  CHECK(books.connections().size() == 3);
  CHECK(books.retire_place("shared") == std::vector<connection_id>{there[0]});
  CHECK(books.retire_place("nowhere").empty());
  std::map<connection_id, ledger::connection_report> left;
  for (const auto& one : books.connections()) left[one.id] = one;
  REQUIRE(left.size() == 2);
  CHECK(left[there[1]].is == ledger::status::idle);
  CHECK(left[there[1]].place == "other");
  CHECK(left[lent->connection].is == ledger::status::connecting);
  CHECK(left[lent->connection].tenant == "globex");
}

TEST_CASE("ledger: who waits already is not queued twice") {
  seated_ledger books(1);
  books.ask(by(1, "a"));
  CHECK_FALSE(books.ask(by(2, "a")));
  CHECK_FALSE(books.ask(by(2, "b")));
  CHECK(books.count().waiting == 1);
}

TEST_CASE("ledger: of connections that were one session's, twenty are kept where nothing bounds them") {
  const auto begun = [](std::string packet) {
    return [packet = std::move(packet)](connection_wish& w) { w.key.start = packet; };
  };
  seated_ledger open(std::nullopt);
  const auto shared = open.ask(by(1, "acme")).value().connection;
  open.give_back(shared, 1, start);
  CHECK_FALSE(open.retire_surplus(shared));
  std::vector<connection_id> left;
  for (unsigned i = 0; i < 20; ++i) {
    left.push_back(open.ask(with(by(2 + i, "acme"), begun(std::to_string(i)))).value().connection);
    open.give_back(left.back(), 0, start + i * 1s);
    CHECK_FALSE(open.retire_surplus(left.back()));
  }
  // The first is used again, so the second is the oldest.
  CHECK(open.ask(with(by(30, "acme"), begun("0"))).value() == grant{kind::use, 30, left[0], 0});
  open.give_back(left[0], 0, start + 30s);
  const auto another = open.ask(with(by(31, "acme"), begun("x"))).value().connection;
  open.give_back(another, 0, start + 31s);
  CHECK(open.retire_surplus(another) == left[1]);
  CHECK_FALSE(open.retire_surplus(another));
  CHECK(open.count().idle == 21);
  CHECK_FALSE(open.retire_surplus(left[1]));

  // A budget is what bounds them where there is one.
  seated_ledger bounded(std::nullopt);
  for (unsigned i = 0; i < 30; ++i) {
    const auto one = bounded.ask(with(by(1 + i, "acme"), begun(std::to_string(i)), size(25))).value();
    CHECK((one.how == (i < 25 ? kind::open : kind::replace)));
    bounded.give_back(one.connection, 0, start + i * 1s);
    CHECK_FALSE(bounded.retire_surplus(one.connection));
  }
}

}  // namespace pool_ledger_test
