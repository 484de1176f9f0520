#include "proxy/console/table.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>

#include "conf/words.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/lexer.hpp"
#include "routing/ascii.hpp"

namespace proxy::console {
namespace {

std::optional<std::size_t> find_column(const columns& heads, const std::string& name) {
  const auto is_it = [&](const column& one) { return routing::same_setting(one.name, name); };
  const auto found = std::ranges::find_if(heads, is_it);
  if (found != heads.end()) return static_cast<std::size_t>(found - heads.begin());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  if (whole && number >= 1 && number <= heads.size()) return number - 1;
  return std::nullopt;
}

// As many keys as are sorted in well under a millisecond.
constexpr std::size_t run_length = 512;

bool is_number(const column& one) { return one.type == column_type::int8 || one.type == column_type::int4; }

std::int64_t number_of(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

table table::of(columns heads, std::vector<row> rows, std::size_t key) {
  const auto kept = std::make_shared<const std::vector<row>>(std::move(rows));
  return {std::move(heads), key, kept->size(), [kept](std::size_t which, row& into) { into = (*kept)[which]; }};
}

// The last % takes one more byte each time what follows does not fit; those before it need no second look.
bool is_like(std::string_view text, std::string_view pattern) {
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t behind_percent = std::string_view::npos;
  std::size_t taken_to = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      behind_percent = ++p;
      taken_to = t;
      continue;
    }
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    const std::size_t letter = escaped ? p + 1 : p;
    const bool same = letter < pattern.size() && ((!escaped && pattern[letter] == '_') || pattern[letter] == text[t]);
    if (same) {
      ++t;
      p = letter + 1;
    } else if (behind_percent != std::string_view::npos) {
      p = behind_percent;
      t = ++taken_to;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('%', p) == std::string_view::npos;
}

std::expected<selection, pgwire::error_report> selection::make(table from, refinement how) {
  std::optional<std::size_t> order;
  if (!how.order_by.empty()) {
    order = find_column(from.heads, how.order_by);
    if (!order) {
      std::vector<std::string_view> names;
      for (const column& one : from.heads) names.emplace_back(one.name);
      const auto near = conf::nearest(how.order_by, names);
      return std::unexpected(refusal(pgwire::sqlstate::undefined_column,
                                     "there is no column " + conf::in_quotes(how.order_by),
                                     "The columns are " + conf::any_of_words(names) + "." +
                                         (near.empty() ? "" : " Did you mean \"" + std::string(near) + "\"?")));
    }
  }
  return selection(std::move(from), std::move(how), order);
}

selection::selection(table from, refinement how, std::optional<std::size_t> order)
    : from_(std::move(from)),
      how_(std::move(how)),
      order_(order),
      by_number_(order_ && is_number(from_.heads[*order_])),
      left_(how_.limit.value_or(std::numeric_limits<std::uint64_t>::max())) {}

bool selection::fits() const {
  if (!how_.like) return true;
  const auto& key = row_[from_.key];
  return key && is_like(*key, *how_.like);
}

selection::step selection::next() {
  if (left_ == 0) return step::end;
  if (!order_) {
    if (at_ == from_.size) return step::end;
    from_.read(at_++, row_);
    if (!fits()) return step::busy;
    --left_;
    return step::found;
  }
  if (merging_) return take_merged();
  if (at_ == from_.size) {
    begin_merging();
    return step::busy;
  }
  from_.read(at_, row_);
  if (fits()) keys_.emplace_back(std::move(row_[*order_]), at_);
  ++at_;
  if (keys_.size() - run_begins_ == run_length) end_run();
  return step::busy;
}

// Nulls are the greatest, as in PostgreSQL; among equals the table's own order stays, by the row's number.
bool selection::comes_first(const sort_key& a, const sort_key& b) const {
  const auto less = [this](const std::optional<std::string>& one, const std::optional<std::string>& other) {
    if (!one || !other) return one && !other;
    return by_number_ ? number_of(*one) < number_of(*other) : *one < *other;
  };
  const auto& first = how_.descending ? b.first : a.first;
  const auto& second = how_.descending ? a.first : b.first;
  if (less(first, second)) return true;
  return !less(second, first) && a.second < b.second;
}

void selection::end_run() {
  if (run_begins_ == keys_.size()) return;
  std::ranges::sort(keys_.begin() + static_cast<std::ptrdiff_t>(run_begins_), keys_.end(),
                    [this](const sort_key& a, const sort_key& b) { return comes_first(a, b); });
  runs_.push_back({run_begins_, keys_.size()});
  run_begins_ = keys_.size();
}

void selection::begin_merging() {
  end_run();
  std::ranges::make_heap(runs_, [this](const run& a, const run& b) { return comes_first(keys_[b.at], keys_[a.at]); });
  merging_ = true;
}

selection::step selection::take_merged() {
  if (runs_.empty()) return step::end;
  const auto later = [this](const run& a, const run& b) { return comes_first(keys_[b.at], keys_[a.at]); };
  std::ranges::pop_heap(runs_, later);
  run& first = runs_.back();
  from_.read(keys_[first.at++].second, row_);
  if (first.at == first.end) {
    runs_.pop_back();
  } else {
    std::ranges::push_heap(runs_, later);
  }
  --left_;
  return step::found;
}

}  // namespace proxy::console
