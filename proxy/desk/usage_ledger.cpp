#include "proxy/desk/usage_ledger.hpp"

#include <algorithm>

#include "proxy/desk/usage_line.hpp"

namespace proxy::desk {
namespace {

// What was used since `before`. A total that went down, which none should, counts as unchanged: better too little on a
// bill than what was on one already.
usage_counts used_since(usage_counts totals, const usage_counts& before) {
  for (const auto& [name, value] : all_usage_counts) totals.*value = std::max(totals.*value, before.*value);
  return totals.since(before);
}

}  // namespace

usage_ledger::usage_ledger(const conf::usage_settings& settings, std::string run, utc_time now,
                           std::function<void(const std::string&)> tell)
    : files_(settings.ledger, settings.keep_days, tell), run_(std::move(run)), tell_(std::move(tell)), from_(now) {}

usage_ledger::result usage_ledger::open(utc_time now) {
  return files_.open(std::chrono::floor<std::chrono::days>(label(now)));
}

usage_ledger::result usage_ledger::write(const usage_totals& totals, utc_time now) {
  usage_line line{.run = run_, .interval = interval_, .from = from_, .to = label(now), .tenant = {}, .counts = {}};
  std::string batch;
  std::vector<std::pair<std::string, usage_counts>> risen;
  for (const auto& [tenant, counts] : totals) {
    usage_counts total = counts;
    total.peak_clients = 0;
    line.counts = used_since(total, written_[tenant]);
    if (line.counts.is_zero()) continue;
    std::uint64_t& peak = peaks_[tenant];
    peak = std::max(peak, counts.peak_clients);
    line.counts.peak_clients = peak;
    line.tenant = tenant;
    batch += to_json(line) + '\n';
    risen.emplace_back(tenant, line.counts);
  }
  const auto day = std::chrono::floor<std::chrono::days>(line.to);
  if (auto done = batch.empty() ? files_.open(day) : files_.append(day, batch); !done) return done;
  if (!batch.empty()) ++interval_;
  for (auto& [tenant, used] : risen) {
    used.peak_clients = 0;
    written_[tenant] += used;
  }
  peaks_.clear();
  from_ = line.to;
  return {};
}

utc_time usage_ledger::label(utc_time now) {
  const bool behind = now < from_;
  if (behind && !clock_is_behind_) {
    tell_("the clock stands at " + to_rfc3339(now) + ", before the last interval's end, " + to_rfc3339(from_) +
          ": intervals are labelled with that end until the clock has passed it");
  }
  clock_is_behind_ = behind;
  return std::max(now, from_);
}

}  // namespace proxy::desk
