#include "proxy/session/tenant_speech.hpp"

#include <algorithm>
#include <string_view>

#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "proxy/session/known_value.hpp"

namespace proxy {
namespace {

namespace sqlstate = pgwire::sqlstate;
using pgwire::trait;
using routing::tenant_id;

pgwire::error_report report(std::string_view code, std::string message, std::string detail, std::string hint) {
  return {"ERROR", std::string(code), std::move(message), std::move(detail), std::move(hint)};
}

std::unexpected<pgwire::error_report> error(std::string_view code, std::string message, std::string detail,
                                            std::string hint) {
  return std::unexpected(report(code, std::move(message), std::move(detail), std::move(hint)));
}

bool resets_all(const pgwire::verdict& verdict) {
  return verdict.traits.has_any({trait::reset_all, trait::discard_all});
}

}  // namespace

void tenant_speech::begin(const routing::identity& login) {
  login_ = login.tenant;
  fixed_ = login.fixed;
  spoken_.reset();
}

tenant_speech::spoken& tenant_speech::speak() { return spoken_ ? *spoken_ : spoken_.emplace(login_); }

bool tenant_speech::concerns(const pgwire::verdict& verdict) const {
  if (!listens()) return false;
  return resets_all(verdict) || std::ranges::any_of(verdict.settings, [&](const pgwire::setting_change& change) {
           return change.name.from != pgwire::operand::source::constant || hints_->concerns(change.name.text);
         });
}

std::expected<tenant_id, pgwire::error_report> tenant_speech::meant_by(const sayings& all) const {
  const sayings::value_type* said = nullptr;
  for (const auto& one : all) {
    if (said != nullptr && said->second != one.second) {
      return error(
          sqlstate::invalid_authorization, "the session names two different tenants",
          said->first + " says \"" + said->second.str() + "\", " + one.first + " says \"" + one.second.str() + "\".",
          "Name the tenant in one place, or RESET the other first.");
    }
    said = &one;
  }
  return said != nullptr ? said->second : login_;
}

pgwire::error_report tenant_speech::unreadable() {
  return report(sqlstate::feature_not_supported, "which tenant this statement names cannot be told before it runs", {},
                "Set the tenant by a statement of its own, to a constant or to a parameter's value.");
}

pgwire::error_report tenant_speech::not_alone() {
  return report(
      sqlstate::active_sql_transaction, "the tenant cannot be changed inside a transaction", {},
      "Change it by a statement of its own, outside transactions, pipelines and texts of several statements.");
}

std::expected<std::optional<tenant_speech::move>, pgwire::error_report> tenant_speech::hear(
    const pgwire::verdict* verdict, const pgwire::frontend::bind* values, bool first) {
  using outcome = std::optional<move>;
  const bool ambiguous = verdict != nullptr && verdict->traits.has_any({trait::ambiguous, trait::unseen});
  const bool may_wait = verdict != nullptr && verdict->traits.has(trait::only_sets) && !ambiguous;
  const auto stays = [&]() -> std::expected<outcome, pgwire::error_report> {
    if (!is_waiting() || may_wait) return outcome();
    return error(sqlstate::invalid_authorization, "the session has not named its tenant yet", {},
                 "Name it first, by the setting that the routing table's hints say.");
  };
  if (verdict == nullptr) return stays();
  const bool unread =
      (verdict->statements.empty() && ambiguous) || (verdict->traits.has(trait::ambiguous) && concerns(*verdict));
  if (unread && !fixed_) return std::unexpected(unreadable());
  if (!concerns(*verdict)) return stays();

  // Each thing it says is looked at by itself: what stands between two of them would run for the first.
  sayings next = spoken_ ? spoken_->said : sayings();
  tenant_id meant = current();
  bool changes = false;
  bool local = false;
  const auto note = [&]() -> std::optional<pgwire::error_report> {
    auto now = meant_by(next);
    if (!now) return std::move(now.error());
    changes = changes || *now != current();
    meant = std::move(*now);
    return std::nullopt;
  };
  if (resets_all(*verdict)) {
    next.clear();
    if (auto refused = note()) return std::unexpected(std::move(*refused));
  }
  for (const pgwire::setting_change& change : verdict->settings) {
    const auto name = known_name(change.name, values);
    if (!name && !fixed_) return std::unexpected(unreadable());
    const std::string setting = name ? pgwire::canonical_setting_name(*name) : std::string();
    if (!name || !hints_->concerns(setting)) continue;
    std::vector<std::string> items;
    for (const pgwire::operand& each : change.values) {
      auto item = known_value(each, values);
      if (!item) return std::unexpected(unreadable());
      items.push_back(std::move(*item));
    }
    auto named = hints_->named_by(setting, items);
    if (!named) {
      return error(named.error().sqlstate, std::move(named.error().message), std::move(named.error().detail),
                   std::move(named.error().hint));
    }
    std::erase_if(next, [&](const auto& said) { return said.first == setting; });
    if (!named->empty()) next.emplace_back(setting, std::move(*named));
    local = local || change.local;
    if (auto refused = note()) return std::unexpected(std::move(*refused));
  }
  if (!changes) return stays();
  if (fixed_) {
    return error(sqlstate::invalid_authorization, "the tenant of this session is fixed by its login",
                 "It is for \"" + login_.str() + "\".", {});
  }
  if (!first || local || verdict->statements.size() != 1 || meant == current()) return std::unexpected(not_alone());
  speak().saying = std::move(next);
  // Nobody's place is none: the statement runs where the session has been.
  return move{meant.empty() && waits_ ? current() : meant, meant, current()};
}

bool tenant_speech::confirmed_by(
    const std::vector<std::pair<std::string, std::optional<std::string>>>& settings) const {
  return !spoken_ || std::ranges::all_of(spoken_->saying, [&](const sayings::value_type& said) {
    if (std::ranges::find(spoken_->said, said) != spoken_->said.end()) return true;
    const auto found = std::ranges::find(settings, said.first, [](const auto& each) { return each.first; });
    if (found == settings.end() || !found->second) return false;
    const auto named = hints_->named_by(said.first, {*found->second});
    return named && *named == said.second;
  });
}

void tenant_speech::become(const tenant_id& tenant, bool done) {
  spoken& mine = speak();
  mine.current = tenant;
  if (done) mine.said = mine.saying;
}

}  // namespace proxy
