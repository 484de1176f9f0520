// STATS and USAGE: what is counted for each tenant. The lodge counts by tenant; what PgBouncer counts by database is
// the sum over the tenants that live there now. Averages are over the last period that is over: a second's share of
// what is counted, but the time of one transaction and of one query.
#include <algorithm>
#include <map>

#include "proxy/console/layouts.hpp"
#include "proxy/console/shows.hpp"

namespace proxy::console {
namespace {

// In the order of the columns behind `database`.
std::vector<std::uint64_t> totals_of(const desk::usage_counts& sum) {
  return {0, sum.transactions, sum.statements, sum.bytes_in, sum.bytes_out, sum.busy, sum.busy, sum.waiting, 0, 0, 0};
}

// Likewise. Times are in microseconds.
std::vector<std::uint64_t> averages_of(const desk::usage_counts& used, std::chrono::microseconds length) {
  const auto micros = static_cast<std::uint64_t>(length.count());
  const auto per_second = [micros](std::uint64_t sum) {
    constexpr double second = 1e6;
    return micros == 0 ? 0
                       : static_cast<std::uint64_t>(static_cast<double>(sum) * second / static_cast<double>(micros));
  };
  const auto each = [](std::uint64_t sum, std::uint64_t count) { return count == 0 ? 0 : sum / count; };
  return {0,
          per_second(used.transactions),
          per_second(used.statements),
          per_second(used.bytes_in),
          per_second(used.bytes_out),
          each(used.busy, used.transactions),
          each(used.busy, used.statements),
          per_second(used.waiting),
          0,
          0,
          0};
}

void append(row& to, const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t one : numbers) to.emplace_back(std::to_string(one));
}

// Where the tenant lives by the table in force.
std::string place_of(const snapshot& now, const std::string& tenant) {
  const auto rule = now.routes->find(tenant);
  if (rule && rule->says->database) return rule->says->database->name;
  const auto& fallback = now.routes->parts().defaults.database;
  return fallback ? fallback->name : "";
}

struct place_counts {
  desk::usage_counts total, in_period;
};

}  // namespace

table show_stats(thing what, const snapshot& now, const usage_list& usage, const desk::stats_period::reading& period) {
  std::map<std::string, place_counts> places;
  for (const auto& [name, place] : now.routes->parts().databases) places[name];
  for (const auto& [tenant, counts] : usage) places[place_of(now, tenant)].total += counts;
  for (const auto& [tenant, counts] : period.tenants) places[place_of(now, tenant)].in_period += counts;
  const auto& heads = columns_of(what == thing::totals ? thing::stats : what);
  std::vector<row> rows;
  place_counts sum;
  for (const auto& [name, counts] : places) {
    row& one = rows.emplace_back(row{name});
    if (what != thing::stats_averages) append(one, totals_of(counts.total));
    if (what != thing::stats_totals) append(one, averages_of(counts.in_period, period.length));
    sum.total += counts.total;
    sum.in_period += counts.in_period;
  }
  if (what != thing::totals) return table::of(heads, std::move(rows), key_of(what));
  row all{""};
  append(all, totals_of(sum.total));
  append(all, averages_of(sum.in_period, period.length));
  std::vector<row> turned;
  for (std::size_t i = 1; i < heads.size(); ++i) turned.push_back({heads[i].name, all[i]});
  return table::of(columns_of(thing::totals), std::move(turned), key_of(thing::totals));
}

table show_usage(const usage_list& usage) {
  std::vector<row> rows;
  for (const auto& [tenant, counts] : usage) {
    row& one = rows.emplace_back(row{tenant});
    for (const auto& [name, value] : desk::all_usage_counts) one.emplace_back(std::to_string(counts.*value));
  }
  return table::of(columns_of(thing::usage), std::move(rows), key_of(thing::usage));
}

}  // namespace proxy::console
