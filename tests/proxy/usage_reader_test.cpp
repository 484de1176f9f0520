// The reading half: which lines count, and how the sums are shown.
#include "proxy/desk/usage_reader.hpp"

#include <catch2/catch.hpp>

#include "proxy/desk/usage_report.hpp"
#include "tests/proxy/usage_tools.hpp"

namespace usage_reader_test {

using namespace proxy::desk;
using tests::at;
using tests::counts;

namespace {

using texts = std::vector<std::string>;

std::string line(char run, std::uint64_t interval, const std::string& to, const std::string& tenant,
                 std::uint64_t transactions, std::uint64_t peak = 1) {
  return to_json({std::string(16, run), interval, at(to) - std::chrono::minutes(1), at(to), tenant,
                  counts(transactions, peak)}) +
         "\n";
}

struct ledger {
  tests::usage_folder folder;
  texts reports;

  usage_sums sum(const std::string& from = "2026-11-24", const std::string& to = "2026-11-26",
                 std::optional<std::string> tenant = {}) {
    reports.clear();
    const std::string prefix = folder.path().native() + "/";
    const auto sums = sum_usage(folder.path(), {at(from), at(to), std::move(tenant)}, [&](const std::string& report) {
      reports.push_back(report.starts_with(prefix) ? report.substr(prefix.size()) : report);
    });
    return sums.value();
  }
};

}  // namespace

TEST_CASE("sums over files, runs and tenants; the peak is the largest", "[usage]") {
  ledger l;
  l.folder.write("usage-2026-11-24.jsonl",
                 line('a', 1, "2026-11-24T10:00", "acme", 1, 5) + line('a', 1, "2026-11-24T10:00", "globex", 2));
  l.folder.write("usage-2026-11-25.jsonl",
                 line('a', 2, "2026-11-25T10:00", "acme", 3, 2) + line('b', 1, "2026-11-25T09:00", "acme", 4));
  CHECK(l.sum() == usage_sums{{"acme", counts(8, 5)}, {"globex", counts(2)}});
  CHECK(l.sum("2026-11-24", "2026-11-26", "globex") == usage_sums{{"globex", counts(2)}});
  CHECK(l.sum("2026-11-24", "2026-11-26", "nobody").empty());
  CHECK(l.reports.empty());
}

TEST_CASE("an interval counts where it ends: from the first moment on, up to the last and not with it", "[usage]") {
  ledger l;
  l.folder.write("usage-2026-11-24.jsonl", line('a', 1, "2026-11-24T00:00:00Z", "acme", 1) +
                                               line('a', 2, "2026-11-24T23:59:59.999Z", "acme", 10));
  l.folder.write("usage-2026-11-25.jsonl", line('a', 3, "2026-11-25T00:00:00Z", "acme", 100));
  CHECK(l.sum("2026-11-24", "2026-11-25").at("acme").transactions == 11);
  CHECK(l.sum("2026-11-25", "2026-11-26").at("acme").transactions == 100);
  CHECK(l.sum("2026-11-24T00:00:00.001Z", "2026-11-25T00:00:00.001Z").at("acme").transactions == 110);
  CHECK(l.sum("0001-01-01", "9999-12-31").at("acme").transactions == 111);
}

TEST_CASE("a key that comes again replaces; copies do not count", "[usage]") {
  ledger l;
  const std::string first = line('a', 1, "2026-11-24T10:00", "acme", 1);
  const std::string again = line('a', 2, "2026-11-24T10:02", "acme", 5);
  l.folder.write("usage-2026-11-24.jsonl", first + line('a', 2, "2026-11-24T10:01", "acme", 3) + again + first +
                                               line('b', 1, "2026-11-24T10:03", "acme", 7));
  l.folder.write("usage-2026-11-25.jsonl", again);
  CHECK(l.sum().at("acme").transactions == 13);
  CHECK(l.reports == texts{"usage-2026-11-24.jsonl:4: not counted, a copy: its interval stands further up",
                           "usage-2026-11-25.jsonl:1: not counted, a copy: its interval stands further up"});
}

TEST_CASE("torn and foreign lines are reported, and the rest counts", "[usage]") {
  ledger l;
  const std::string good = line('a', 1, "2026-11-24T10:00", "acme", 1);
  const std::string next = line('a', 2, "2026-11-24T10:01", "acme", 2);
  l.folder.write("usage-2026-11-24.jsonl", "hello\n" + good + "\n" + std::string(longest_usage_line + 1, 'x') + "\n" +
                                               next + "{}\n" + next.substr(0, next.size() - 1));
  l.folder.write("usage-2026-11-25.jsonl", std::string(longest_usage_line * 3, 'x'));
  CHECK(l.sum().at("acme").transactions == 3);
  CHECK(l.reports == texts{"usage-2026-11-24.jsonl:1: not counted, foreign: it is not JSON",
                           "usage-2026-11-24.jsonl:3: not counted, foreign: it is not JSON",
                           "usage-2026-11-24.jsonl:4: not counted, foreign: it is too long",
                           "usage-2026-11-24.jsonl:6: not counted, foreign: it has no text \"key\"",
                           "usage-2026-11-24.jsonl:7: not counted, torn: the line has no end",
                           "usage-2026-11-25.jsonl:1: not counted, foreign: it is too long"});
  std::string many;
  for (int i = 0; i < 150; ++i) many += "x\n";
  l.folder.write("usage-2026-11-24.jsonl", many);
  CHECK(l.sum("2026-11-24", "2026-11-25").empty());
  REQUIRE(l.reports.size() == 101);
  CHECK(l.reports.back() == "and 50 more lines that do not count");
}

TEST_CASE("with part of the ledger there is no bill", "[usage]") {
  ledger l;
  const auto ignore = [](const std::string&) {};
  const usage_query query{at("2026-11-24"), at("2026-11-25"), {}};
  std::filesystem::create_directory(l.folder.path() / "usage-2026-11-24.jsonl");
  CHECK(sum_usage(l.folder.path(), query, ignore).error() ==
        "cannot read " + (l.folder.path() / "usage-2026-11-24.jsonl").native() + ": Is a directory");
  CHECK(sum_usage("/nowhere", query, ignore).error() == "cannot read the folder /nowhere: No such file or directory");
}

TEST_CASE("the three formats", "[usage]") {
  const usage_sums sums{{"", counts(1)}, {"acme", {12, 345, 0, 6, 999, 1434, 1500, 61'000'000, 11'220'000'000, 3}}};
  CHECK(
      to_text(sums, usage_format::table) ==
      "tenant  transactions  statements  errors  rows  bytes in  bytes out    busy   waiting  connected  peak clients\n"
      "-                  1           0       0     0      10 B        0 B    0 us      0 us       0 us             1\n"
      "acme              12         345       0     6     999 B    1.4 KiB  1.5 ms  1 m 01 s   3 h 07 m             "
      "3\n");
  CHECK(to_text(sums, usage_format::csv) ==
        "tenant,transactions,statements,errors,rows,bytes_in,bytes_out,busy_us,waiting_us,connected_us,peak_clients\r\n"
        ",1,0,0,0,10,0,0,0,0,1\r\n"
        "acme,12,345,0,6,999,1434,1500,61000000,11220000000,3\r\n");
  CHECK(to_text({{"acme", counts(1)}}, usage_format::json) ==
        "[\n {\"tenant\":\"acme\",\"transactions\":1,\"statements\":0,\"errors\":0,\"rows\":0,\"bytes_in\":10,"
        "\"bytes_out\":0,\"busy_us\":0,\"waiting_us\":0,\"connected_us\":0,\"peak_clients\":1}\n]\n");
  CHECK(to_text({}, usage_format::json) == "[\n]\n");
}

TEST_CASE("units for people", "[usage]") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1024) == "1.0 KiB");
  CHECK(human_bytes(1024 * 1024 - 1) == "1023.9 KiB");
  CHECK(human_bytes(std::uint64_t{23} << 30) == "23.0 GiB");
  CHECK(human_bytes(~std::uint64_t{0}) == "16383.9 PiB");
  CHECK(human_time(999) == "999 us");
  CHECK(human_time(59'999'999) == "59.9 s");
  CHECK(human_time(60'000'000) == "1 m 00 s");
  CHECK(human_time(86'400'000'000) == "1 d 00 h");
}

}  // namespace usage_reader_test
