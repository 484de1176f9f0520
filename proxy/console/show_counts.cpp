// STATS and USAGE: what is counted for each tenant. The lodge counts by tenant; what PgBouncer counts by database is
// the sum over the tenants that live there now.
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

void append(row& to, const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t one : numbers) to.emplace_back(std::to_string(one));
}

}  // namespace

table show_stats(thing what, const snapshot& now, const usage_list& usage) {
  std::map<std::string, desk::usage_counts> places;
  for (const auto& [name, place] : now.routes->parts().databases) places[name];
  for (const auto& [tenant, counts] : usage) {
    const auto rule = now.routes->find(tenant);
    const bool known = rule && rule->says->database;
    const auto& fallback = now.routes->parts().defaults.database;
    const std::string name = known ? rule->says->database->name : fallback ? fallback->name : "";
    places[name] += counts;
  }
  const std::size_t numbers = totals_of({}).size();
  const auto& heads = columns_of(what == thing::totals ? thing::stats : what);
  std::vector<row> rows;
  desk::usage_counts sum;
  for (const auto& [name, counts] : places) {
    row& one = rows.emplace_back(row{name});
    if (what != thing::stats_averages) append(one, totals_of(counts));
    if (what != thing::stats_totals) one.resize(one.size() + numbers, "0");
    sum += counts;
  }
  if (what != thing::totals) return table::of(heads, std::move(rows), key_of(what));
  row all{""};
  append(all, totals_of(sum));
  all.resize(all.size() + numbers, "0");
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
