#include "proxy/desk/usage_keeper.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "proxy/desk/usage_reader.hpp"
#include "tests/proxy/usage_tools.hpp"

namespace usage_keeper_test {

using namespace proxy::desk;
using namespace std::chrono_literals;
using tests::counts;

namespace {

std::uint64_t transactions(const tests::usage_folder& folder) {
  const usage_query all{tests::at("0001-01-01"), tests::at("9999-12-31"), {}};
  const auto sums = sum_usage(folder.path(), all, [](const std::string&) {}).value();
  return sums.contains("acme") ? sums.at("acme").transactions : 0;
}

template <class Condition>
bool eventually(Condition holds) {
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace

TEST_CASE("lines come with each interval, and the last one with the end", "[usage]") {
  const tests::usage_folder folder;
  std::atomic<std::uint64_t> total = 1;
  usage_keeper keeper({.ledger = folder.path(), .interval = 5ms},
                      [&] { return usage_totals{{"acme", counts(total)}}; });
  CHECK(eventually([&] { return transactions(folder) == 1; }));
  total = 4;
  CHECK(eventually([&] { return transactions(folder) == 4; }));
  total = 9;
  keeper.stop();
  CHECK(transactions(folder) == 9);
}

TEST_CASE("an interval that never ends is written when the daemon leaves", "[usage]") {
  const tests::usage_folder folder;
  {
    const usage_keeper keeper({.ledger = folder.path(), .interval = 24h},
                              [] { return usage_totals{{"acme", counts(7)}}; });
  }
  CHECK(transactions(folder) == 7);
}

TEST_CASE("trouble ends nothing", "[usage]") {
  const tests::usage_folder folder;
  std::filesystem::remove(folder.path());
  std::atomic<int> asked = 0;
  usage_keeper keeper({.ledger = folder.path(), .interval = 1ms}, [&] {
    if (++asked == 2) throw std::runtime_error("no totals today");
    return usage_totals{{"acme", counts(3)}};
  });
  CHECK(eventually([&] { return asked > 4; }));
  std::filesystem::create_directory(folder.path());
  CHECK(eventually([&] { return transactions(folder) == 3; }));
}

}  // namespace usage_keeper_test
