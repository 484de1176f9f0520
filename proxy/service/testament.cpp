#include "proxy/service/testament.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <optional>
#include <string_view>
#include <utility>

namespace proxy {
namespace {

namespace json = boost::json;
using routing::tenant_state;

std::optional<tenant_state> state_named(std::string_view word) {
  constexpr std::array<tenant_state, 4> all{tenant_state::active, tenant_state::read_only, tenant_state::held,
                                            tenant_state::suspended};
  const auto found = std::ranges::find_if(all, [&](tenant_state one) { return routing::to_string(one) == word; });
  if (found == all.end()) return std::nullopt;
  return *found;
}

json::object written(const routing::overrides& overrides) {
  json::object tenants, places, levels;
  for (const auto& [id, of] : overrides.tenants) {
    tenants[id] = {{"state", std::string(routing::to_string(of.state))}, {"message", of.message}};
  }
  for (const auto& [name, of] : overrides.places) places[name] = {{"paused", of.paused}, {"disabled", of.disabled}};
  for (const auto& [id, level] : overrides.log_levels) levels[id] = level;
  json::object all;
  all["log_levels"] = std::move(levels);
  all["tenants"] = std::move(tenants);
  all["places"] = std::move(places);
  all["everything_paused"] = overrides.everything_paused;
  return all;
}

// Throws what Boost.JSON throws.
std::expected<routing::overrides, std::string> read_overrides(const json::object& all) {
  routing::overrides read;
  if (const auto* tenants = all.if_contains("tenants")) {
    for (const auto& [id, of] : tenants->as_object()) {
      const auto word = json::value_to<std::string>(of.at("state"));
      const auto state = state_named(word);
      if (!state) return std::unexpected("the state \"" + word + "\" is not known");
      read.tenants[std::string(id)] = {*state, json::value_to<std::string>(of.at("message"))};
    }
  }
  if (const auto* places = all.if_contains("places")) {
    for (const auto& [name, of] : places->as_object()) {
      read.places[std::string(name)] = {of.at("paused").as_bool(), of.at("disabled").as_bool()};
    }
  }
  if (const auto* levels = all.if_contains("log_levels")) {
    for (const auto& [id, level] : levels->as_object()) {
      read.log_levels[std::string(id)] = json::value_to<std::string>(level);
    }
  }
  if (const auto* paused = all.if_contains("everything_paused")) read.everything_paused = paused->as_bool();
  return read;
}

}  // namespace

std::string testament::to_json() const {
  json::array doors, files;
  for (const std::string& one : cancel_doors) doors.emplace_back(one);
  for (const bool one : own_file) files.emplace_back(one);
  json::object all;
  all["cancel_doors"] = std::move(doors);
  all["own_file"] = std::move(files);
  all["log_level"] = log_level;
  all["overrides"] = written(overrides);
  return json::serialize(all);
}

std::expected<testament, std::string> testament::from_json(const std::string& text) try {
  const json::value value = json::parse(text);
  const json::object& all = value.as_object();
  testament read;
  if (const auto* doors = all.if_contains("cancel_doors")) {
    read.cancel_doors = json::value_to<std::vector<std::string>>(*doors);
  }
  if (const auto* files = all.if_contains("own_file")) read.own_file = json::value_to<std::vector<bool>>(*files);
  if (const auto* level = all.if_contains("log_level")) read.log_level = json::value_to<std::string>(*level);
  if (const auto* overrides = all.if_contains("overrides")) {
    auto laid = read_overrides(overrides->as_object());
    if (!laid) return std::unexpected(std::move(laid.error()));
    read.overrides = std::move(*laid);
  }
  return read;
} catch (const std::exception& error) {
  return std::unexpected(std::string("what it wrote is not understood: ") + error.what());
}

}  // namespace proxy
