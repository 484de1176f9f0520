// What `pglodge top` shows: from two looks at the console's tables, the tenants and what they did in between. Sans I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proxy::top {

/// A table as the console gave it: names of columns, and rows of as many cells; a null is an empty text.
struct answer_table {
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> rows;
};

/// One look at the lodge.
struct look {
  struct tenant {
    std::string state, place, server;
    std::uint64_t clients = 0, active = 0, waiting = 0;
    std::uint64_t p99 = 0;  ///< of its statements lately, in microseconds; 0: there were none
    // Since the lodge started; times in microseconds.
    std::uint64_t transactions = 0, statements = 0, errors = 0, bytes = 0, busy = 0, waited = 0;
  };
  std::chrono::steady_clock::time_point when;
  std::map<std::string, tenant, std::less<>> tenants;

  /// From SHOW TENANTS and SHOW USAGE. Error: which column is missing.
  static std::expected<look, std::string> of(const answer_table& tenants, const answer_table& usage,
                                             std::chrono::steady_clock::time_point when);
};

enum class column : std::uint8_t {
  tenant,
  clients,
  active,
  waiting,
  tx,
  statements,
  errors,
  bytes,
  time,
  wait,
  p99,
  busy
};

/// By a key in the live view, or a word on the command line.
struct sort_choice {
  column by;
  char key;
  std::string_view word;
};
const std::vector<sort_choice>& sort_choices();

struct row {
  std::string tenant, state, place;
  std::uint64_t clients = 0, active = 0, waiting = 0;
  double tx = 0, statements = 0, errors = 0, bytes = 0;  ///< a second
  double time = 0, wait = 0;                             ///< of one transaction, in milliseconds
  double p99 = 0;                                        ///< of its statements lately, likewise
  double busy = 0;                                       ///< server connections that it had, on average
};

struct order {
  column by = column::busy;
  bool turned = false;  ///< the least first; of names the last
};

/// Those that were there at either look or did anything, in order; equals by their names. `idle`: the others, too.
enum class idle_tenants : std::uint8_t { left_out, shown };
std::vector<row> compare(const look& before, const look& now, order how, idle_tenants idle);

struct screen {
  std::size_t width = 120;
  std::size_t lines = 40;  ///< rows included in what is made; 0: as many as there are
};
inline constexpr screen smallest{60, 6};

/// Lines of at most `size.width` bytes, without newlines: what the lodge does, names of columns, rows.
std::vector<std::string> draw(const std::vector<row>& rows, const look& now, order how, screen size);

}  // namespace proxy::top
