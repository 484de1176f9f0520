// What a SHOW gives: columns, and rows that are made when they are asked for, one at a time. So a table of 100,000
// tenants costs what one row costs, however slowly its reader reads.
//
// A selection is what LIKE, ORDER BY and LIMIT leave of it. It works in steps, one row a step, since whoever drives it
// has other things to do in between; ORDER BY remembers the key of each row, not the row. It sorts in runs as rows are
// read, and merges the runs as they are wanted, so that no step takes much longer than another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/error_response.hpp"

namespace proxy::console {

/// The types that are shown, by OID (PostgreSQL's pg_type.dat).
enum class column_type : std::uint32_t { boolean = 16, int8 = 20, int4 = 23, text = 25 };

struct column {
  std::string name;
  column_type type = column_type::text;
  friend bool operator==(const column&, const column&) = default;
};
using columns = std::vector<column>;
using row = std::vector<std::optional<std::string>>;  ///< in text format; nothing is null

struct table {
  columns heads;
  std::size_t key = 0;  ///< the column that LIKE is about
  std::size_t size = 0;
  /// Makes a row, of as many cells as there are columns; called with what was there before. It may be called more than
  /// once for the same.
  std::function<void(std::size_t, row&)> read;

  static table of(columns heads, std::vector<row> rows, std::size_t key = 0);
};

/// What stands behind a SHOW.
struct refinement {
  std::optional<std::string> like;
  std::string order_by;  ///< a column's name or its number from 1; empty: as it comes
  bool descending = false;
  std::optional<std::uint64_t> limit;
  friend bool operator==(const refinement&, const refinement&) = default;
};

/// As PostgreSQL's LIKE: % is anything, _ one byte, \ takes the next as it is. Takes at most the product of the
/// lengths.
bool is_like(std::string_view text, std::string_view pattern);

class selection {
 public:
  /// Error: 42703, no such column.
  static std::expected<selection, pgwire::error_report> make(table from, refinement how);

  enum class step : std::uint8_t {
    found,  ///< `current` is the next one
    busy,   ///< nothing yet; call again
    end,
  };
  step next();
  [[nodiscard]] const row& current() const { return row_; }
  [[nodiscard]] const columns& heads() const { return from_.heads; }

 private:
  selection(table from, refinement how, std::optional<std::size_t> order);
  [[nodiscard]] bool fits() const;
  using sort_key = std::pair<std::optional<std::string>, std::size_t>;  ///< and the row's number
  [[nodiscard]] bool comes_first(const sort_key& a, const sort_key& b) const;
  void end_run();
  void begin_merging();
  step take_merged();

  table from_;
  refinement how_;
  std::optional<std::size_t> order_;
  bool by_number_ = false;
  std::vector<sort_key> keys_;
  std::size_t run_begins_ = 0;  ///< the run that is being read, in keys_
  struct run {
    std::size_t at, end;  ///< what is left of it, in keys_
  };
  std::vector<run> runs_;  ///< once all is read a heap: what comes first is its top
  bool merging_ = false;
  std::size_t at_ = 0;
  std::uint64_t left_;
  row row_;
};

}  // namespace proxy::console
