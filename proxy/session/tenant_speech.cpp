#include "proxy/session/tenant_speech.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "proxy/session/known_value.hpp"

namespace proxy {
namespace {

namespace sqlstate = pgwire::sqlstate;
using pgwire::trait;
using routing::tenant_id;

std::unexpected<pgwire::error_report> error(std::string_view code, std::string message, std::string detail,
                                            std::string hint) {
  return std::unexpected(
      pgwire::error_report{"ERROR", std::string(code), std::move(message), std::move(detail), std::move(hint)});
}

bool resets_all(const pgwire::verdict& verdict) {
  return verdict.traits.has_any({trait::reset_all, trait::discard_all});
}

}  // namespace

void tenant_speech::begin(session_hints_ptr hints, bool waits, const routing::identity& login) {
  listen_to(std::move(hints), waits);
  login_ = current_ = login.tenant;
  fixed_ = login.fixed;
}

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

std::expected<std::optional<tenant_speech::move>, pgwire::error_report> tenant_speech::hear(
    const pgwire::verdict* verdict, const pgwire::frontend::bind* values, bool first) {
  using outcome = std::optional<move>;
  const bool may_wait = verdict != nullptr && verdict->traits.has(trait::only_sets);
  const auto stays = [&]() -> std::expected<outcome, pgwire::error_report> {
    if (!is_waiting() || may_wait) return outcome();
    return error(sqlstate::invalid_authorization, "the session has not named its tenant yet", {},
                 "Name it first, by the setting that the routing table's hints say.");
  };
  if (verdict == nullptr || !concerns(*verdict)) return stays();

  sayings next = said_;
  bool touched = false;
  bool for_good = false;
  std::uint32_t place = 0;  // of the first statement that says it
  if (resets_all(*verdict)) {
    next.clear();
    touched = for_good = true;
    place = verdict->statements.size() > 1 ? 1 : 0;  // which of them is not known
  }
  for (const pgwire::setting_change& change : verdict->settings) {
    const auto name = known_value(change.name, values);
    const std::string setting = name ? pgwire::canonical_setting_name(*name) : std::string();
    if (!name || !hints_->concerns(setting)) continue;
    std::vector<std::string> items;
    for (const pgwire::operand& each : change.values) {
      auto item = known_value(each, values);
      if (!item) {
        return error(sqlstate::feature_not_supported,
                     "which tenant \"" + setting + "\" names cannot be told in advance", {},
                     "Set it to a constant or to a parameter's value.");
      }
      items.push_back(std::move(*item));
    }
    auto named = hints_->named_by(setting, items);
    if (!named) {
      return error(named.error().sqlstate, std::move(named.error().message), std::move(named.error().detail),
                   std::move(named.error().hint));
    }
    std::erase_if(next, [&](const auto& said) { return said.first == setting; });
    if (!named->empty()) next.emplace_back(setting, std::move(*named));
    if (!touched) place = change.statement;
    touched = true;
    for_good = for_good || !change.local;
  }
  if (!touched) return stays();
  auto meant = meant_by(next);
  if (!meant) return std::unexpected(std::move(meant.error()));
  if (*meant == current_) {
    if (for_good && first) said_ = std::move(next);
    return stays();
  }
  if (fixed_) {
    return error(sqlstate::invalid_authorization, "the tenant of this session is fixed by its login",
                 "It is for \"" + login_.str() + "\", and the statement names \"" + meant->str() + "\".", {});
  }
  const bool several = verdict->statements.size() > 1;
  // Nobody's place is none: the statement runs where the session has been.
  const bool leaves = meant->empty() && waits_;
  const bool in_transaction = several && (leaves || verdict->traits.has_any({trait::begins, trait::ends_transaction}));
  if (!first || place > 0 || in_transaction) {
    return error(sqlstate::active_sql_transaction, "the tenant cannot be changed inside a transaction", {},
                 "Name it first, in a statement of its own.");
  }
  saying_ = for_good ? std::move(next) : said_;
  if (!for_good) return move{*meant, current_, current_};
  return move{leaves ? current_ : *meant, *meant, current_};
}

void tenant_speech::become(const tenant_id& tenant, bool done) {
  current_ = tenant;
  if (done) said_ = saying_;
}

}  // namespace proxy
