// Stored secrets, their mocks, and the cache of them.
#include <catch2/catch.hpp>
#include <thread>

#include "proxy/auth/secret_cache.hpp"
#include "proxy/auth/stored_secret.hpp"

namespace auth_secret_test {

using namespace proxy;
using namespace std::chrono_literals;
using pgwire::as_bytes;
using pgwire::secret_string;

namespace {

const pgwire::secret_key key(pgwire::byte_view(as_bytes("0123456789abcdef0123456789abcdef")).first<32>());

stored_secret_ptr plain(std::string_view text) {
  return std::make_shared<const stored_secret>(pgwire::plain_secret{secret_string(text)});
}

}  // namespace

TEST_CASE("a plain secret's SCRAM secret is built once, and is the password's") {
  const auto secret = plain("open sesame");
  CHECK(secret->scram_at_hand() == nullptr);
  const pgwire::scram_secret* built[2]{};
  std::thread other([&] { built[0] = &secret->build_scram(key, "app"); });
  built[1] = &secret->build_scram(key, "app");
  other.join();
  CHECK(built[0] == built[1]);
  CHECK(secret->scram_at_hand() == built[0]);
  CHECK_FALSE(built[0]->mock);
  CHECK(pgwire::verify_password(*built[0], "app", "open sesame") == pgwire::password_check::right);
  CHECK(built[0]->salt == pgwire::stable_salt(key, "app"));
  CHECK(plain("x")->build_scram(key, "app").salt == built[0]->salt);
}

TEST_CASE("what was built is taken over for the same password") {
  const auto old = plain("open sesame");
  const auto same = plain("open sesame"), other = plain("closed");
  same->take_built(*old);
  CHECK(same->scram_at_hand() == nullptr);  // nothing was built
  const auto& built = old->build_scram(key, "app");
  for (const auto& next : {same, other}) next->take_built(*old);
  REQUIRE(same->scram_at_hand() != nullptr);
  CHECK(same->scram_at_hand()->stored_key == built.stored_key);
  CHECK(same->scram_at_hand()->salt == built.salt);
  CHECK(other->scram_at_hand() == nullptr);
}

TEST_CASE("SCRAM secrets are at hand; md5 secrets give a mock") {
  const auto made = pgwire::build_scram_secret("x", as_bytes("salt"), 2);
  const auto scram = std::make_shared<const stored_secret>(made);
  REQUIRE(scram->scram_at_hand() != nullptr);
  CHECK(&scram->build_scram(key, "app") == scram->scram_at_hand());
  CHECK(scram->kind() == secret_kind::scram);

  const stored_secret md5(pgwire::md5_secret{secret_string("0123456789abcdef0123456789abcdef")});
  CHECK(md5.kind() == secret_kind::md5);
  CHECK_FALSE(md5.is_mock());
  CHECK(md5.build_scram(key, "app").mock);
}

TEST_CASE("a mock is of the kind it shall be like, and lets nobody in") {
  const auto kind = GENERATE(secret_kind::plain, secret_kind::md5, secret_kind::scram);
  const auto mock = stored_secret::mock(key, "nobody", {.kind = kind, .iterations = 3});
  CHECK(mock->is_mock());
  CHECK(mock->kind() == kind);
  CHECK(pgwire::verification_is_slow(mock->secret()) == (kind == secret_kind::scram));
  CHECK(pgwire::verify_password(mock->secret(), "nobody", "x") == pgwire::password_check::wrong);
  REQUIRE(mock->scram_at_hand() != nullptr);  // or one question would tell it from a role that was built
  const auto& scram = mock->build_scram(key, "nobody");
  CHECK(&scram == mock->scram_at_hand());
  CHECK(scram.mock);
  CHECK(scram.salt == pgwire::stable_salt(key, "nobody"));
  CHECK(scram.iterations == (kind == secret_kind::scram ? 3 : pgwire::default_scram_iterations));
}

TEST_CASE("the cache forgets by age and for want of room") {
  secret_cache cache(10s, 3);
  const secret_cache::clock::time_point start{1h};
  const auto a = plain("a"), b = plain("b");
  cache.put("a", a, start);
  CHECK(cache.find("a", start + 9s) == a);
  CHECK(cache.find("a", start + 10s) == nullptr);
  CHECK(cache.find("A", start) == nullptr);

  cache.put("a", b, start + 5s);
  CHECK(cache.find("a", start + 14s) == b);
  CHECK(cache.size() == 1);
  cache.put("b", b, start + 6s);
  cache.put("c", b, start + 6s);
  cache.put("d", b, start + 6s);
  CHECK(cache.size() == 3);
  CHECK(cache.find("a", start + 6s) == nullptr);
  CHECK(cache.find("b", start + 6s) == b);
  cache.put("e", b, start + 16s);
  CHECK(cache.size() == 1);
}

TEST_CASE("what is doubted is forgotten, unless it is young") {
  secret_cache cache(10s);
  const secret_cache::clock::time_point start{1h};
  const auto a = plain("a");
  cache.put("a", a, start);
  cache.put("b", a, start);
  cache.doubt("a", 1s, start + 999ms);
  CHECK(cache.find("a", start + 1s) == a);
  cache.doubt("a", 1s, start + 1s);
  CHECK(cache.find("a", start + 1s) == nullptr);
  CHECK(cache.find("b", start + 1s) == a);
  cache.doubt("nobody", 1s, start + 1s);
  CHECK(cache.size() == 1);
}

TEST_CASE("a cache for ever") {
  secret_cache cache(secret_cache::clock::duration::max());
  const auto a = plain("a");
  cache.put("a", a, secret_cache::clock::time_point{});
  CHECK(cache.find("a", secret_cache::clock::time_point{} + 24h * 365 * 100) == a);
}

}  // namespace auth_secret_test
