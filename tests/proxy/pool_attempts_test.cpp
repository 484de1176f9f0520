// Who may open a connection while a server is out of reach, and what those get who have to wait for that.
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "proxy/pool/server_pool.hpp"

namespace pool_attempts_test {

using namespace proxy;

namespace {

struct house {
  asio::io_context loop{1};
  std::shared_ptr<server_pool> pool;
  std::vector<server_pool::seat_ptr> seats;  // of asker 1, 2, ...

  explicit house(std::optional<std::uint32_t> most = {}) {
    routing::server server;
    server.name = "main";
    server.max_connections = most;
    pool = std::make_shared<server_pool>(std::make_shared<const routing::server>(server));
  }

  static connection_wish wish() {
    connection_wish wish;
    wish.key = {"saas", "app"};
    wish.place = "shared";
    wish.tenant = "acme";
    return wish;
  }
  std::optional<server_pool::permission> ask(std::size_t who) {
    seats.push_back(std::make_shared<pool_seat>(loop.get_executor(), std::weak_ptr<bell>()));
    REQUIRE(seats.size() == who);
    connection_wish asked = wish();
    return pool->ask(asked, seats.back());
  }
  void try_later(connection_id which, std::size_t who) {
    connection_wish asked = wish();
    pool->try_later(which, asked, seats[who - 1]);
  }
  ~house() { pool->close(); }
  // Who is there to try next, of the first `most` askers.
  std::optional<std::size_t> who_may_try(std::size_t most) {
    for (std::size_t who = 1; who <= most; ++who) {
      if (auto given = pool->collect(*seats[who - 1])) {
        last = given->id;
        return who;
      }
    }
    return std::nullopt;
  }
  connection_id last = 0;

  // Waits for the back-off, which is at most so long after a first failure.
  std::optional<std::size_t> next_to_try(std::size_t most) {
    const auto until = clock::now() + connect_gate::longest_pause * 2;
    while (clock::now() < until) {
      pool->on_tick();
      if (auto who = who_may_try(most)) return who;
    }
    return std::nullopt;
  }
};

}  // namespace

TEST_CASE("who failed to connect tries again before those who came later, and all of them wait") {
  house h;
  const auto first = h.ask(1);
  REQUIRE(first);
  h.pool->failed(first->id, "127.0.0.1:5432: Connection refused");
  CHECK(h.pool->out_of_reach() == "127.0.0.1:5432: Connection refused");
  CHECK_FALSE(h.ask(2));
  CHECK_FALSE(h.ask(3));
  h.try_later(first->id, 1);
  CHECK(h.pool->count() == ledger::totals{.lent = 0, .opening = 0, .idle = 0, .waiting = 3});
  CHECK(h.pool->count("acme").waiting == 3);
  REQUIRE(h.pool->totals().size() == 1);
  CHECK(h.pool->totals()[0].waiting == 3);
  CHECK(h.pool->connections().empty());

  CHECK(h.next_to_try(3) == 1);
  CHECK(h.last == first->id);
  CHECK(h.pool->count() == ledger::totals{.lent = 1, .opening = 1, .idle = 0, .waiting = 2});

  // It comes to something: two may follow.
  h.pool->opened(h.last);
  CHECK_FALSE(h.pool->out_of_reach());
  CHECK(h.who_may_try(3) == 2);
  CHECK(h.who_may_try(3) == 3);
}

TEST_CASE("an attempt that shows nothing lets the next one try") {
  house h;
  const auto first = h.ask(1);
  h.pool->failed(first->id, "refused");
  h.pool->closed(first->id);
  CHECK_FALSE(h.ask(2));
  CHECK_FALSE(h.ask(3));
  CHECK(h.next_to_try(3) == 2);
  CHECK_FALSE(h.who_may_try(3));
  h.pool->closed(h.last);  // its client has left
  CHECK(h.who_may_try(3) == 3);
  CHECK(h.pool->out_of_reach());
}

TEST_CASE("an answer ends the outage, whatever it was") {
  house h;
  const auto first = h.ask(1);
  h.pool->failed(first->id, "refused");
  h.pool->closed(first->id);
  CHECK_FALSE(h.ask(2));
  CHECK(h.next_to_try(2) == 2);
  h.pool->answered(h.last);
  CHECK_FALSE(h.pool->out_of_reach());
  h.pool->closed(h.last);
  CHECK(h.pool->count() == ledger::totals());
}

TEST_CASE("who gives up leaves nothing behind, and its place goes to who stands in the queue") {
  house h(1);
  const auto first = h.ask(1);
  h.pool->failed(first->id, "refused");
  h.try_later(first->id, 1);
  CHECK_FALSE(h.ask(2));  // in the ledger's queue: there is room for one
  CHECK(h.pool->count().waiting == 2);
  h.pool->give_up(*h.seats[1 - 1]);
  CHECK(h.pool->count() == ledger::totals{.lent = 0, .opening = 0, .idle = 0, .waiting = 1});
  CHECK(h.next_to_try(2) == 2);
  h.pool->give_up(*h.seats[2 - 1]);
  h.pool->closed(h.last);
  CHECK(h.pool->count() == ledger::totals());
  CHECK(h.pool->out_of_reach());
  CHECK(h.pool->count() == ledger::totals());
}

TEST_CASE("no more try at once than a server takes") {
  house h;
  std::vector<connection_id> under_way;
  for (std::size_t who = 1; who <= connect_gate::most_at_once + 5; ++who) {
    if (auto given = h.ask(who)) under_way.push_back(given->id);
  }
  CHECK(under_way.size() == connect_gate::most_at_once);
  CHECK(h.pool->count().waiting == 5);
  for (const connection_id id : under_way) h.pool->opened(id);
  CHECK(h.pool->count().waiting == 0);
  CHECK(h.pool->count().opening == 5);
}

TEST_CASE("a server that was out of reach is looked at, when nobody waits who would try himself") {
  house h;
  const auto later = [] { return clock::now() + std::chrono::hours(1); };
  const auto look = [&] {
    const auto until = clock::now() + connect_gate::longest_pause * 2;
    while (clock::now() < until) {
      if (h.pool->begin_look(later())) return true;
    }
    return false;
  };
  CHECK_FALSE(h.pool->begin_look(later()));  // it serves, as far as anybody knows
  const auto first = h.ask(1);
  h.pool->failed(first->id, "refused");
  h.pool->closed(first->id);
  CHECK_FALSE(h.pool->begin_look(clock::now()));  // somebody has just tried
  CHECK(look());
  CHECK_FALSE(h.pool->begin_look(later()));  // one at a time
  h.pool->found(server_pool::look::out_of_reach, "refused again");
  CHECK(h.pool->out_of_reach() == "refused again");

  CHECK_FALSE(h.ask(2));
  CHECK_FALSE(h.pool->begin_look(later()));
  CHECK(h.next_to_try(2) == 2);
  h.pool->closed(h.last);
  CHECK(look());
  h.pool->found(server_pool::look::showed_nothing);
  CHECK(h.pool->out_of_reach());

  CHECK(look());
  CHECK_FALSE(h.ask(3));
  h.pool->found(server_pool::look::answered);
  CHECK_FALSE(h.pool->out_of_reach());
  CHECK(h.who_may_try(3) == 3);
}

}  // namespace pool_attempts_test
