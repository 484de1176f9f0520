// Looking up names with a resolver that answers when the test says so: what is asked how often, who is told, and what
// a look-up that hangs holds up.
#include "proxy/name_lookup.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace name_lookup_test {

using proxy::name_lookup;
using answer = name_lookup::answer;
namespace asio = proxy::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds limit{20};

answer address(const std::string& text) { return std::vector{asio::ip::make_address(text)}; }

// A nameserver that knows the names beginning with "silent" and says nothing of them until `speak`.
class nameserver {
 public:
  answer resolve(const std::string& name) {
    std::unique_lock lock(mutex_);
    ++asked_[name];
    changed_.notify_all();
    if (name == "broken") throw std::runtime_error("it broke");
    if (name.starts_with("silent")) changed_.wait(lock, [this] { return speaks_; });
    if (name == "nobody") return std::unexpected("nobody has it");
    return address("192.0.2.7");
  }
  void speak() {
    const std::scoped_lock lock(mutex_);
    speaks_ = true;
    changed_.notify_all();
  }
  int asked(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return asked_[name];
  }
  bool wait_until_asked(const std::string& name) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return asked_[name] > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> asked_;
  bool speaks_ = false;
};

// Threads that hang may outlive a test, so they share the nameserver.
name_lookup::resolver by(const std::shared_ptr<nameserver>& one) {
  return [one](const std::string& name) { return one->resolve(name); };
}

// Somebody who wants to know.
class asker {
 public:
  /// False: is told later.
  bool ask(name_lookup& names, const std::string& name) {
    auto hear = [to = std::weak_ptr(heard_)](const answer& found) {
      if (const auto ear = to.lock()) ear->hear(found);
    };
    const auto known = names.ask(name, heard_, std::move(hear));
    if (known) heard_->hear(*known);
    return known.has_value();
  }
  answer wait() {
    std::unique_lock lock(heard_->mutex);
    REQUIRE(heard_->changed.wait_for(lock, limit, [this] { return heard_->times > 0; }));
    return heard_->found;
  }
  [[nodiscard]] int times() const {
    const std::scoped_lock lock(heard_->mutex);
    return heard_->times;
  }

 private:
  struct heard {
    void hear(const answer& what) {
      const std::scoped_lock lock(mutex);
      found = what;
      ++times;
      changed.notify_all();
    }
    std::mutex mutex;
    std::condition_variable changed;
    answer found;
    int times = 0;
  };
  std::shared_ptr<heard> heard_ = std::make_shared<heard>();
};

struct setting {
  // A test may end early: what hangs then must not keep its threads for ever.
  ~setting() { server->speak(); }
  std::shared_ptr<nameserver> server = std::make_shared<nameserver>();
};

}  // namespace

TEST_CASE("a numeric address is known at once, and nobody is asked for it") {
  const setting at;
  name_lookup names(by(at.server));
  for (const std::string text : {"192.0.2.1", "2001:db8::1", "::1"}) {
    asker one;
    CHECK(one.ask(names, text));
    CHECK(one.wait() == address(text));
    CHECK(at.server->asked(text) == 0);
  }
}

TEST_CASE("a name is looked up in another thread, and so is one that nobody has or that breaks the resolver") {
  const setting at;
  name_lookup names(by(at.server));
  asker good, bad, broken;
  CHECK_FALSE(good.ask(names, "pg1"));
  CHECK_FALSE(bad.ask(names, "nobody"));
  CHECK_FALSE(broken.ask(names, "broken"));
  CHECK(good.wait() == address("192.0.2.7"));
  CHECK(bad.wait().error() == "nobody has it");
  CHECK(broken.wait().error() == "its name could not be looked up: it broke");
}

TEST_CASE("a name that hangs holds up nobody who asks for another") {
  const setting at;
  name_lookup names(by(at.server));
  std::vector<asker> many(100);
  for (asker& one : many) CHECK_FALSE(one.ask(names, "silent"));
  REQUIRE(at.server->wait_until_asked("silent"));
  for (const std::string name : {"pg1", "pg2", "pg3"}) {
    asker other;
    other.ask(names, name);
    CHECK(other.wait().has_value());
  }
  for (const asker& one : many) CHECK(one.times() == 0);
}

TEST_CASE("who asks for a name that is being looked up waits for that") {
  const setting at;
  name_lookup names(by(at.server));
  asker first, second;
  CHECK_FALSE(first.ask(names, "silent"));
  REQUIRE(at.server->wait_until_asked("silent"));
  CHECK_FALSE(second.ask(names, "silent"));
  at.server->speak();
  CHECK(first.wait().has_value());
  CHECK(second.wait().has_value());
  CHECK(at.server->asked("silent") == 1);
  CHECK(first.times() == 1);
}

TEST_CASE("what was found is known for a while, a failure as well") {
  const setting at;
  name_lookup names(by(at.server), 1h);
  for (const std::string name : {"pg1", "nobody"}) {
    asker first, second;
    CHECK_FALSE(first.ask(names, name));
    const answer found = first.wait();
    CHECK(second.ask(names, name));
    CHECK(second.wait() == found);
    CHECK(at.server->asked(name) == 1);
  }
}

TEST_CASE("after a while a name is looked up again") {
  const setting at;
  name_lookup names(by(at.server), 0s);
  for (int times = 1; times <= 3; ++times) {
    asker one;
    CHECK_FALSE(one.ask(names, "pg1"));
    CHECK(one.wait().has_value());
    CHECK(at.server->asked("pg1") == times);
  }
}

TEST_CASE("when all threads hang, other names wait for the first that returns") {
  const setting at;
  name_lookup names(by(at.server));
  std::vector<asker> hanging(name_lookup::most_threads);
  for (std::size_t i = 0; i < hanging.size(); ++i) {
    const std::string name = "silent" + std::to_string(i);
    CHECK_FALSE(hanging[i].ask(names, name));
    REQUIRE(at.server->wait_until_asked(name));
  }
  asker behind;
  CHECK_FALSE(behind.ask(names, "pg1"));
  CHECK(at.server->asked("pg1") == 0);
  at.server->speak();
  CHECK(behind.wait().has_value());
  for (asker& one : hanging) CHECK(one.wait().has_value());
}

TEST_CASE("who has given up is not told, and is forgotten though the look-up never returns") {
  const setting at;
  name_lookup names(by(at.server));
  const std::shared_ptr<int> held = std::make_shared<int>();
  for (int i = 0; i < 1000; ++i) {
    const auto whom = std::make_shared<int>();
    names.ask("silent", whom, [held](const answer&) { ++*held; });
  }
  CHECK(held.use_count() < 600);
  asker stays;
  CHECK_FALSE(stays.ask(names, "silent"));
  at.server->speak();
  CHECK(stays.wait().has_value());
  CHECK(*held == 0);
}

TEST_CASE("at the end a look-up that hangs is not waited for, and tells nobody when it returns") {
  const setting at;
  asker one;
  std::weak_ptr<nameserver> server = at.server;
  {
    name_lookup names(by(at.server));
    CHECK_FALSE(one.ask(names, "silent"));
    REQUIRE(at.server->wait_until_asked("silent"));
    names.close();
    asker late;
    CHECK(late.ask(names, "pg1"));
    CHECK(late.wait().error() == "the lodge is leaving");
  }
  CHECK(server.use_count() > 1);
  at.server->speak();
  // The thread lets go of what it shares when it ends.
  const auto until = std::chrono::steady_clock::now() + limit;
  while (server.use_count() > 1 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(server.use_count() == 1);
  CHECK(one.times() == 0);
}

TEST_CASE("the system is asked") {
  name_lookup names;
  asker one;
  one.ask(names, "localhost");
  const answer found = one.wait();
  REQUIRE(found.has_value());
  REQUIRE_FALSE(found->empty());
  CHECK(found->front().is_loopback());
}

}  // namespace name_lookup_test
