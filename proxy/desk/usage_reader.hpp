// Sums the usage ledger: which lines count, and what they come to for each tenant.
//
// A line counts once. Lines of one interval of one run stand together in the ledger; where a key comes again among
// them, the later line takes the earlier one's place, for the daemon writes an interval anew only when what it wrote
// was not in force. When another interval begins the one before is settled, and what comes later with its number, or a
// smaller one, is a copy and left out. So what must be remembered is one interval's lines and one number for each run,
// not every key.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/desk/usage_counts.hpp"
#include "proxy/desk/usage_line.hpp"
#include "proxy/desk/utc_time.hpp"

namespace proxy::desk {

struct usage_query {
  utc_time from, to;                  ///< intervals that end at `from` or later and before `to`
  std::optional<std::string> tenant;  ///< only this one; else all
};

/// By tenant, in order. peak_clients is the largest.
using usage_sums = std::map<std::string, usage_counts>;

/// Takes the lines in the order in which they stand in the ledger.
class usage_summer {
 public:
  explicit usage_summer(usage_query query) : query_(std::move(query)) {}

  /// False if the line was left out as a copy.
  bool take(usage_line line);
  /// The sums, when all lines were taken.
  usage_sums finish();

 private:
  void settle();

  usage_query query_;
  usage_sums sums_;
  std::string run_;                               ///< whose interval is being read; empty: none
  std::uint64_t interval_ = 0;                    ///< its number
  std::map<std::string, usage_line> lines_;       ///< its lines, by tenant
  std::map<std::string, std::uint64_t> settled_;  ///< by run, the last interval that was settled
};

/// Reads the files of the days in question, line by line. `report` is told of each line that does not count, as
/// "file:line: why"; after 100 of them only of their number. The error: the folder or a file cannot be read, and with
/// part of the ledger there is no bill.
std::expected<usage_sums, std::string> sum_usage(const std::filesystem::path& folder, const usage_query& query,
                                                 const std::function<void(const std::string&)>& report);

}  // namespace proxy::desk
