// What /metrics is made of: histograms, and the tenants that use most beside the rest.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "proxy/desk/duration_histogram.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/tenant_ranking.hpp"
#include "usage_tools.hpp"

namespace desk_ranking_test {

using namespace std::chrono_literals;
using proxy::desk::duration_histogram;
using proxy::desk::tenant_accounts;
using proxy::desk::tenant_ranking;
using proxy::desk::tenant_usage;
using proxy::desk::usage_counts;
using tests::used;

namespace {

// "acme=7 other=3".
std::string told(const std::vector<tenant_usage>& all) {
  std::string text;
  for (const auto& one : all) {
    text += (text.empty() ? "" : " ") + one.tenant + "=" + std::to_string(one.counts.statements);
  }
  return text;
}

}  // namespace

TEST_CASE("histogram: bounds are inclusive and double", "[metrics]") {
  using h = duration_histogram;
  CHECK(h::bound(0) == 100us);
  CHECK(h::bound(19) == 52'428'800us);
  CHECK(h::bucket_of(-1us) == 0);
  CHECK(h::bucket_of(0us) == 0);
  for (std::size_t i = 0; i + 1 < h::buckets; ++i) {
    CHECK(h::bucket_of(h::bound(i)) == i);
    CHECK(h::bucket_of(h::bound(i) + 1us) == i + 1);
  }
  CHECK(h::bucket_of(24h * 10'000) == h::buckets - 1);
  CHECK(h::bucket_of(h::microseconds::max()) == h::buckets - 1);
}

TEST_CASE("histogram: what many observe is all there", "[metrics]") {
  duration_histogram times;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 10'000; ++n) times.observe(150us);
      });
    }
  }
  const auto now = times.read();
  CHECK(now.counts[1] == 40'000);
  CHECK(now.sum == 6s);
}

TEST_CASE("ranking: who uses most is named, the rest is summed up", "[metrics]") {
  tenant_ranking ranking;
  CHECK(told(ranking.rank({}, 2)) == "other=0");
  CHECK(told(ranking.rank({used("a", 5), used("b", 50), used("c", 20), used("d", 1)}, 2)) == "b=50 c=20 other=6");
}

TEST_CASE("ranking: nobody is named where nobody shall be", "[metrics]") {
  tenant_ranking ranking;
  CHECK(told(ranking.rank({used("a", 5), used("b", 50)}, 0)) == "other=55");
}

TEST_CASE("ranking: no tenant, and one that is called as the rest is, are among the rest", "[metrics]") {
  tenant_ranking ranking;
  CHECK(told(ranking.rank({used("", 50), used("other", 40), used("a", 1)}, 3)) == "a=1 other=90");
}

TEST_CASE("ranking: who enters later starts at nothing, and what is gone is told no more", "[metrics]") {
  tenant_ranking ranking;
  CHECK(told(ranking.rank({used("a", 10), used("b", 5)}, 1)) == "a=10 other=5");
  // Busier, but not by a tenth.
  CHECK(told(ranking.rank({used("a", 10), used("b", 11)}, 1)) == "a=10 other=11");
  CHECK(told(ranking.rank({used("a", 10), used("b", 12)}, 1)) == "b=0 other=12");
  CHECK(told(ranking.rank({used("a", 11), used("b", 15)}, 1)) == "b=3 other=13");
  CHECK(told(ranking.rank({used("a", 20), used("b", 15)}, 1)) == "a=0 other=22");
  CHECK(told(ranking.rank({used("a", 21), used("b", 15)}, 1)) == "a=1 other=22");
}

TEST_CASE("ranking: fewer are named when fewer shall be, and more when more", "[metrics]") {
  tenant_ranking ranking;
  const std::vector<tenant_usage> all{used("a", 10), used("b", 5), used("c", 1)};
  CHECK(told(ranking.rank(all, 3)) == "a=10 b=5 c=1 other=0");
  CHECK(told(ranking.rank(all, 1)) == "a=10 other=0");
  CHECK(told(ranking.rank(all, 2)) == "a=10 b=0 other=0");
}

TEST_CASE("ranking: nothing ever goes down, and the sum grows by what was used", "[metrics]") {
  tenant_ranking ranking;
  std::vector<tenant_usage> all;
  std::uint64_t state = 1, other_before = 0;
  std::size_t changes = 0;
  std::string named_before;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  std::unordered_map<std::string, std::uint64_t> before;
  for (int round = 0; round < 2000; ++round) {
    std::uint64_t grown = 0;
    if (all.size() < 40 && random(5) == 0) all.push_back(used("t" + std::to_string(all.size()), 0));
    for (auto& one : all) {
      const auto more = random(4) == 0 ? random(1000) : 0;
      one.counts.busy += more;
      one.counts.statements += more;
      grown += more;
    }
    const auto now = ranking.rank(all, 3 + random(3));
    REQUIRE(now.size() <= 6);
    std::unordered_map<std::string, std::uint64_t> after;
    std::string named;
    std::uint64_t told_more = 0;
    for (const auto& one : now) {
      after[one.tenant] = one.counts.statements;
      named += one.tenant + " ";
      const auto found = before.find(one.tenant);
      const std::uint64_t was = found == before.end() ? 0 : found->second;
      REQUIRE(one.counts.statements >= was);
      told_more += one.counts.statements - was;
    }
    // What a tenant used between the last look and its leaving is told by nobody.
    REQUIRE(told_more <= grown);
    REQUIRE(after["other"] >= other_before);
    other_before = after["other"];
    if (named != named_before) ++changes;
    named_before = named;
    before = std::move(after);
  }
  CHECK(changes > 10);
}

TEST_CASE("accounts: the new ones in their order, across slices", "[metrics]") {
  tenant_accounts accounts;
  std::vector<std::shared_ptr<proxy::desk::tenant_account>> known;
  for (int i = 0; i < 2500; ++i) static_cast<void>(accounts.of("t" + std::to_string(i)));
  accounts.append_new(known);
  static_cast<void>(accounts.of("late"));
  accounts.append_new(known);
  accounts.append_new(known);
  REQUIRE(known.size() == 2501);
  CHECK(known[1024]->tenant() == "t1024");
  CHECK(known.back()->tenant() == "late");
  CHECK(accounts.find("late") == known.back());
  CHECK(accounts.find("never") == nullptr);
}

}  // namespace desk_ranking_test
