// The ledger of what tenants used: turns totals since the daemon's start into lines that each say what was used in one
// interval, and counts nothing twice and loses nothing while the daemon lives.
//
// An interval begins where the last one that was written ended. If it cannot be written it goes on: the next attempt
// has its number, and with it its keys, its beginning, and all that was used since then. So somebody who read lines
// that were cut off again replaces them when he meets their keys once more.
//
// Intervals are measured by whoever calls. The wall clock only labels them, and labels of one run never go back: while
// the clock stands before the end of the last interval, intervals begin and end there. Another choice would put lines
// into a time whose bill is written already.
//
// Not thread-safe; writing blocks.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conf/daemon_file.hpp"
#include "proxy/desk/ledger_files.hpp"
#include "proxy/desk/usage_counts.hpp"
#include "proxy/desk/utc_time.hpp"

namespace proxy::desk {

/// By tenant ("" for sessions that name none), each once: totals since the daemon's start, which never go down. Only
/// peak_clients is something else: the most sessions at one time since totals were last asked for.
using usage_totals = std::vector<std::pair<std::string, usage_counts>>;

class usage_ledger {
 public:
  using result = ledger_files::result;

  /// Nothing is opened yet. `run` is new_run()'s. `tell` is given what an operator should know though it is no failure.
  usage_ledger(const conf::usage_settings& settings, std::string run, utc_time now,
               std::function<void(const std::string&)> tell);

  /// Opens the file, so that trouble shows before there is anything to write.
  result open(utc_time now);
  /// Ends the interval: one line for each tenant whose counts have risen, then a sync. After an error the interval goes
  /// on, and what it counted is in the next attempt's lines. Where nothing has risen nothing is written, but an error
  /// is one as well: success says that lines could have been written.
  result write(const usage_totals& totals, utc_time now);

 private:
  [[nodiscard]] utc_time label(utc_time now);

  ledger_files files_;
  std::string run_;
  std::function<void(const std::string&)> tell_;
  std::uint64_t interval_ = 1;
  utc_time from_;
  bool clock_is_behind_ = false;
  std::unordered_map<std::string, usage_counts> written_;  ///< totals as of the last success; the peak is 0
  std::unordered_map<std::string, std::uint64_t> peaks_;   ///< in the interval so far, from attempts that failed
};

}  // namespace proxy::desk
