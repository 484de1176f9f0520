#include "proxy/session/pooled_place.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "protocol/startup_options.hpp"

namespace proxy {
namespace {

session_terms terms_of(const pooled_standing& of) {
  routing::setting_list tenant = tenant_settings(of.who, of.where);
  for (auto& [name, value] : tenant) name = pgwire::canonical_setting_name(name);
  const auto own = own_settings(of.startup, of.who, of.where);
  return {of.where.tenant.str(), std::make_shared<const routing::session_state>(tenant, own), session_guard(of.where),
          of.where.refuses_pins, of.where.prepare};
}

// Of what usually tells sessions apart; equality looks at the rest.
std::size_t hash_of(const pooled_standing& of) {
  const std::hash<std::string> hash;
  std::size_t sum = hash(of.who.user);
  const auto add = [&](const std::string& more) { sum = sum * 31 + hash(more); };
  add(of.who.tenant.str());
  add(of.where.database);
  for (const auto& [name, value] : of.startup.startup.parameters) add(value);
  return sum;
}

}  // namespace

pooled_place::pooled_place(pooled_standing given, unsigned worker)
    : pooled_standing(std::move(given)),
      terms(std::make_shared<const session_terms>(terms_of(*this))),
      wish(wish_for(worker, who, where)) {}

pooled_place_ptr pooled_places::of(pooled_standing standing) {
  const std::size_t hash = hash_of(standing);
  const auto [first, last] = known_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    auto place = at->second.lock();
    if (place && *place == standing) return place;
  }
  if (known_.size() >= sweep_at_) {
    std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
    sweep_at_ = std::max(least_to_sweep, known_.size() * 2);
  }
  auto made = std::make_shared<const pooled_place>(std::move(standing), worker_);
  known_.emplace(hash, made);
  return made;
}

pooled_place_ptr pooled_places::with_limits_of(const routing::route& now, const pooled_place& place) {
  pooled_standing standing{place.who, place.startup, place.where};
  standing.where.limits = now.limits;
  standing.where.shared = now.shared;
  return of(std::move(standing));
}

}  // namespace proxy
