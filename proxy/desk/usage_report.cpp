#include "proxy/desk/usage_report.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <vector>

namespace proxy::desk {
namespace {

using row = std::vector<std::string>;

// "1.4", of a number in tenths.
std::string tenths(std::uint64_t value) { return std::to_string(value / 10) + "." + std::to_string(value % 10); }

// `value` in the larger unit, and in two digits what of the smaller is left.
std::string in_two_units(std::uint64_t value, std::uint64_t ratio, std::string_view large, std::string_view small) {
  const std::string rest = std::to_string(value % ratio);
  return std::to_string(value / ratio) + std::string(large) + (rest.size() < 2 ? "0" : "") + rest + std::string(small);
}

std::string human(std::string_view name, std::uint64_t value) {
  if (name.starts_with("bytes_")) return human_bytes(value);
  if (name.ends_with("_us")) return human_time(value);
  return std::to_string(value);
}

std::string heading(std::string_view name) {
  if (name.ends_with("_us")) name.remove_suffix(3);
  std::string text(name);
  std::ranges::replace(text, '_', ' ');
  return text;
}

// The first column to the left, numbers to the right.
std::string aligned(const std::vector<row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const row& one : rows) {
    for (std::size_t i = 0; i < one.size(); ++i) widths[i] = std::max(widths[i], one[i].size());
  }
  std::string text;
  for (const row& one : rows) {
    for (std::size_t i = 0; i < one.size(); ++i) {
      const std::string blanks(widths[i] - one[i].size(), ' ');
      text += i == 0 ? one[i] + blanks : "  " + blanks + one[i];
    }
    text += '\n';
  }
  return text;
}

std::string table(const usage_sums& sums) {
  std::vector<row> rows{{"tenant"}};
  for (const auto& [name, value] : all_usage_counts) rows.front().push_back(heading(name));
  for (const auto& [tenant, counts] : sums) {
    row& line = rows.emplace_back();
    line.push_back(tenant.empty() ? "-" : tenant);
    for (const auto& [name, value] : all_usage_counts) line.push_back(human(name, counts.*value));
  }
  return aligned(rows);
}

// Nothing here needs quotes: names are ours, and a tenant's id has no comma, quote or line's end.
std::string csv(const usage_sums& sums) {
  std::string text = "tenant";
  for (const auto& [name, value] : all_usage_counts) text += "," + std::string(name);
  text += "\r\n";
  for (const auto& [tenant, counts] : sums) {
    text += tenant;
    for (const auto& [name, value] : all_usage_counts) text += "," + std::to_string(counts.*value);
    text += "\r\n";
  }
  return text;
}

std::string json_lines(const usage_sums& sums) {
  std::string text = "[";
  for (const auto& [tenant, counts] : sums) {
    boost::json::object line;
    line["tenant"] = tenant;
    for (const auto& [name, value] : all_usage_counts) line[name] = counts.*value;
    text += (text.size() > 1 ? ",\n " : "\n ") + boost::json::serialize(line);
  }
  return text + "\n]\n";
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr std::array<std::string_view, 5> units{" KiB", " MiB", " GiB", " TiB", " PiB"};
  std::size_t unit = 0;
  std::uint64_t size = 1024;
  for (; bytes / size >= 1024 && unit + 1 < units.size(); ++unit) size *= 1024;
  // In two steps, lest ten times the bytes overflow.
  return tenths(bytes / size * 10 + bytes % size * 10 / size) + std::string(units[unit]);
}

std::string human_time(std::uint64_t microseconds) {
  if (microseconds < 1000) return std::to_string(microseconds) + " us";
  if (microseconds < 1'000'000) return tenths(microseconds / 100) + " ms";
  if (microseconds < 60'000'000) return tenths(microseconds / 100'000) + " s";
  const std::uint64_t seconds = microseconds / 1'000'000;
  if (seconds < 3600) return in_two_units(seconds, 60, " m ", " s");
  if (seconds < 86'400) return in_two_units(seconds / 60, 60, " h ", " m");
  return in_two_units(seconds / 3600, 24, " d ", " h");
}

std::string to_text(const usage_sums& sums, usage_format format) {
  switch (format) {
    case usage_format::table: return table(sums);
    case usage_format::csv: return csv(sums);
    case usage_format::json: return json_lines(sums);
  }
  return {};
}

}  // namespace proxy::desk
