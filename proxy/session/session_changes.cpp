#include "proxy/session/session_changes.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "proxy/session/known_value.hpp"
#include "routing/ascii.hpp"

namespace proxy {
namespace {

using pgwire::trait;

// Names of settings, which an application can invent.
constexpr std::size_t most_settings_known = 10'000;

// Settings of one transaction only, and one that cannot be read back.
bool outlives_transaction(std::string_view setting) {
  return setting != "transaction_isolation" && setting != "transaction_read_only" &&
         setting != "transaction_deferrable" && setting != "seed";
}

// What a statement would keep the connection for.
pin_set pins_of(const pgwire::verdict& verdict) {
  pin_set pins;
  for (const auto& [which, why] :
       std::initializer_list<std::pair<trait, pin>>{{trait::prepared, pin::prepared},
                                                    {trait::temporary, pin::temporary},
                                                    {trait::listening, pin::listening},
                                                    {trait::hold_cursor, pin::hold_cursor},
                                                    {trait::advisory_lock, pin::advisory_lock},
                                                    {trait::load, pin::loaded},
                                                    {trait::random_seed, pin::random_seed},
                                                    {trait::lingering, pin::lingering},
                                                    {trait::session_identity, pin::authorization}}) {
    if (verdict.traits.has(which)) pins.add(why);
  }
  return pins;
}

pgwire::error_report not_kept(pin_set pins) {
  std::string reasons;
  for (unsigned i = 0; i < pin_count; ++i) {
    const auto why = static_cast<pin>(i);
    if (pins.has(why)) reasons.append(reasons.empty() ? "" : ", ").append(to_string(why));
  }
  return {"ERROR", std::string(pgwire::sqlstate::feature_not_supported),
          "no server connection is kept beyond a transaction here", "It would be needed for: " + reasons + ".",
          "The routing table says pool.pin: refuse for this database."};
}

pgwire::error_report unspeakable() {
  return {"ERROR",
          std::string(pgwire::sqlstate::feature_not_supported),
          "a setting whose name is not ASCII cannot follow the session in this client_encoding",
          "The client's encoding is not the database's.",
          {}};
}

// A SELECT gives 1,664 columns at most. To ask for a new setting takes two, and one is needed to take each off or to
// put it on. Nor is what a session may keep to be without bounds.
constexpr std::size_t most_settings = 500;

// A text that resets a thousand times would become a thousand times what a session starts with.
constexpr std::size_t most_rewritten = std::size_t{1} << 20;

pgwire::error_report too_many() {
  return {"ERROR",
          std::string(pgwire::sqlstate::program_limit_exceeded),
          "too many settings for a session of transaction pooling",
          "It can have " + std::to_string(most_settings) + " of its own.",
          {}};
}

// As servers count in positions, if the text is UTF-8.
std::size_t characters_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

}  // namespace

session_changes::session_changes(statement_tools& tools)
    : tools_(tools), state_(std::make_shared<const routing::session_state>()) {}

void session_changes::set_terms(session_terms_ptr terms) {
  // What the client set itself goes on being set, unless the new tenant's start says otherwise.
  routing::session_state next = *terms->start;
  if (terms_) {
    for (const auto& [name, value] : state_->own()) {
      const std::string* before = terms_->start->find(name);
      const bool changed = before == nullptr || *before != value;
      const bool tenants = name == "role" || name == "search_path";
      if (changed && !tenants && terms->start->find(name) == nullptr) next = next.with(name, value);
    }
  }
  terms_ = std::move(terms);
  state_ = next == *terms_->start ? terms_->start : std::make_shared<const routing::session_state>(std::move(next));
}

std::size_t session_changes::held_bytes() const {
  if (!terms_ || state_ == terms_->start) return 0;
  std::size_t bytes = 0;
  for (const auto& setting : state_->own()) {
    bytes += sizeof(setting) + setting.first.size() + setting.second.size();
  }
  return bytes;
}

std::optional<pgwire::error_report> session_changes::note(const pgwire::verdict& verdict,
                                                          const pgwire::frontend::bind* values,
                                                          std::span<const pgwire::verdict* const> executed) {
  const bool guarded = terms_->guard.is_on();
  bool unseen = verdict.traits.has(trait::unseen);
  if (guarded && unseen) {
    const bool unread = verdict.statements.empty() || doubts(verdict);
    // Behind which of several statements what restores belongs may not be known.
    if (unread || (resets(verdict) && verdict.traits.has(trait::ambiguous))) return session_guard::unreadable();
  }
  // What EXECUTE runs was said earlier; what it does has to be asked. One that executes another, itself perhaps, is not
  // followed.
  unseen = unseen || !verdict.executes.empty();
  for (const pgwire::verdict* each : executed) {
    if (!each->executes.empty() || resets(*each)) {  // what restores a reset belongs behind it, and not behind EXECUTE
      if (guarded) return session_guard::unreadable();
    } else if (auto refusal = note(*each, nullptr)) {
      return refusal;
    }
  }

  if (terms_->refuses_pins && verdict.traits.has(trait::keeps)) return not_kept(pins_of(verdict));

  std::vector<std::string> settings;
  for (const auto& change : verdict.settings) {
    const auto name = known_name(change.name, values);
    if (!name) {
      if (guarded) return session_guard::unreadable();
      unseen = true;
      continue;
    }
    const std::string canonical = pgwire::canonical_setting_name(*name);
    if (!speaks_as_database_ && !routing::is_ascii(canonical)) return unspeakable();
    std::vector<std::optional<std::string>> items;
    items.reserve(change.values.size());
    for (const auto& item : change.values) {
      items.push_back(item.by_any_type ? std::nullopt : known_value(item, values));
    }
    // Where a call stands, it may run when nothing restores what it takes back.
    if (change.called && items.empty()) items.emplace_back();
    if (auto refusal = terms_->guard.refuses(canonical, items)) return refusal;
    dirty_ = dirty_ || routing::affects_reading(canonical);
    scanning_dirty_ = scanning_dirty_ || canonical == "client_encoding" || canonical == "standard_conforming_strings";
    if (!change.local) settings.push_back(canonical);
  }
  std::ranges::sort(settings);  // one text can name one thousands of times
  settings.erase(std::ranges::unique(settings).begin(), settings.end());
  if (are_too_many(settings)) return too_many();
  for (std::string& name : settings) note_setting(std::move(name));
  note_traits(verdict, unseen);
  return std::nullopt;
}

void session_changes::reads_in(std::string_view client, std::string_view database,
                               std::string_view conforming_strings) {
  constexpr std::array<std::string_view, 7> two_faced{"SJIS", "SHIFT_JIS_2004", "BIG5",   "GBK",
                                                      "UHC",  "JOHAB",          "GB18030"};
  speaks_as_database_ = client == database;
  two_faced_ = std::ranges::find(two_faced, client) != two_faced.end();
  plain_ = conforming_strings != "off";
}

bool session_changes::doubts(const pgwire::verdict& verdict) const {
  const auto may_be = [&](trait which, bool by_now) {
    return verdict.traits.has(which) && (by_now || scanning_dirty_);
  };
  return may_be(trait::two_faced, two_faced_) || may_be(trait::plain_only, !plain_) ||
         may_be(trait::escaped_only, plain_);
}

void session_changes::reported(std::string_view setting) {
  dirty_ = dirty_ || routing::affects_reading(pgwire::canonical_setting_name(setting));
}

void session_changes::transaction_ended() {
  dirty_ = scanning_dirty_ = false;
  // What others have prepared since they saw it begin was made by the schema of before.
  if (std::exchange(schema_changed_, false)) tools_.schema_generation.fetch_add(1, std::memory_order_relaxed);
}

std::optional<pgwire::error_report> session_changes::forbidden() const {
  if (pins_.empty()) return std::nullopt;
  if (strayed_) return *strayed_;
  return terms_->refuses_pins ? std::optional(not_kept(pins_)) : std::nullopt;
}

void session_changes::note_traits(const pgwire::verdict& verdict, bool unseen) {
  const auto has = [&](trait which) { return verdict.traits.has(which); };
  if (has(trait::reset_all) || has(trait::discard_all) || unseen) {
    for (const routing::setting_list* list : {&state_->own(), &terms_->start->own(), &terms_->start->tenant()}) {
      for (const auto& [name, value] : *list) note_setting(name);
    }
    dirty_ = scanning_dirty_ = true;
  }
  if (unseen) {
    every_setting_due_ = true;
    note_setting("role");
    pins_due_ |= passing_pins;
  }
  // A search_path may begin with pg_temp, be it the session's or what this transaction has set.
  const std::string* path = has(trait::defines) ? state_->find("search_path") : nullptr;
  const bool defines_temporary = has(trait::defines) && (dirty_ || (path != nullptr && path->contains("pg_temp")));
  if (has(trait::prepared) || has(trait::deallocate_all)) pins_due_.add(pin::prepared);
  if (has(trait::temporary) || defines_temporary) pins_due_.add(pin::temporary);
  if (has(trait::listening)) pins_due_.add(pin::listening);
  if (has(trait::hold_cursor)) pins_due_.add(pin::hold_cursor);
  if (has(trait::advisory_lock)) pins_due_.add(pin::advisory_lock);
  if (has(trait::load)) pins_.add(pin::loaded);
  if (has(trait::random_seed)) pins_.add(pin::random_seed);
  if (has(trait::lingering)) pins_.add(pin::lingering);
  if (has(trait::temporary)) {
    ++temporary_generation_;
  } else if (has(trait::defines) || has(trait::drops)) {
    tools_.schema_generation.fetch_add(1, std::memory_order_relaxed);
    schema_changed_ = true;
  }
  // What is prepared by what the transaction has made, and may take back, is nobody else's.
  dirty_ = dirty_ || has(trait::temporary) || has(trait::defines) || has(trait::drops);
  pins_due_ |= pins_.both(passing_pins);  // any of it may be what ends a pin
  due_ = due_ || unseen || !pins_due_.empty();
}

// Together with what the session has, and what its transaction has touched. Known names may be set again in any case.
bool session_changes::are_too_many(std::span<const std::string> names) const {
  const auto has = [&](const std::string& name) { return state_->find(name) != nullptr; };
  const auto touched = [&](const std::string& name) { return std::ranges::find(touched_, name) != touched_.end(); };
  const auto added = std::ranges::count_if(names, [&](const auto& name) { return !has(name) && !touched(name); });
  const auto other = std::ranges::count_if(touched_, [&](const auto& name) { return !has(name); });
  return added > 0 && static_cast<std::size_t>(added + other) + state_->own().size() > most_settings;
}

void session_changes::note_setting(std::string name) {
  if (!outlives_transaction(name)) return;
  if (name == "session_authorization") {
    pins_due_.add(pin::authorization);
    note_setting("role");  // which it takes off
    return;
  }
  if (std::ranges::find(touched_, name) == touched_.end()) touched_.push_back(std::move(name));
}

bool session_changes::resets(const pgwire::verdict& verdict) {
  return verdict.traits.has(trait::reset_all) || verdict.traits.has(trait::discard_all) ||
         std::ranges::any_of(verdict.settings, [](const auto& change) { return change.values.empty(); });
}

std::vector<routing::dress_step> session_changes::restores(const pgwire::verdict& verdict) const {
  const routing::session_state& start = *terms_->start;
  if (verdict.traits.has(trait::discard_all)) return difference({}, start);
  std::vector<routing::dress_step> steps;
  if (verdict.traits.has(trait::reset_all)) {
    steps = difference({}, start);
    std::erase_if(steps, [](const auto& each) { return each.name == "role"; });
    // It takes off what its role may not set, too. A search_path anybody may, and mostly there is nothing else.
    for (auto& each : steps) {
      const bool is_own =
          std::ranges::find(start.own(), each.name, &routing::setting_list::value_type::first) != start.own().end();
      each.as_login_role = !is_own && each.name != "search_path";
    }
  }
  for (const auto& change : verdict.settings) {
    if (!change.values.empty() || change.name.from != pgwire::operand::source::constant) continue;
    const std::string* value = start.find(change.name.text);
    const auto how_far = change.local ? routing::reach::transaction : routing::reach::session;
    if (value != nullptr) steps.push_back({change.name.text, *value, how_far});
    // To reset it takes the role off, too.
    const std::string* role = change.name.text == "session_authorization" ? start.find("role") : nullptr;
    if (role != nullptr) steps.push_back({"role", *role, how_far});
  }
  return steps;
}

std::optional<std::string> session_changes::with_restores(std::string_view text, const pgwire::verdict& verdict,
                                                          std::vector<put_in>& put_in) const {
  std::string rewritten;
  std::size_t copied = 0;  // of the text
  std::size_t characters = 0;
  std::size_t number = 0;
  for (const auto& span : verdict.statements) {
    ++number;
    const auto alone = pgwire::judge(text.substr(span.begin, span.end - span.begin));
    const auto steps = resets(alone) ? restores(alone) : std::vector<routing::dress_step>{};
    if (steps.empty()) continue;
    const auto before = text.substr(copied, span.end - copied);
    const std::string restore = "\n;" + routing::dress_query(steps);  // a comment may stand at the statement's end
    characters += characters_of(before);
    put_in.push_back({number++, characters, characters_of(restore)});
    characters += characters_of(restore);
    rewritten.append(before) += restore;
    if (rewritten.size() > most_rewritten) return std::nullopt;
    copied = span.end;
  }
  return rewritten.append(text.substr(copied));
}

void session_changes::discarded() {
  state_ = terms_->start;  // which is put on again before anything else runs
  touched_.clear();
  pins_due_ = passing_pins;
  due_ = true;
}

void session_changes::nothing_happened() {
  touched_.clear();
  due_ = every_setting_due_ = dirty_ = scanning_dirty_ = schema_changed_ = false;
  pins_ = pins_due_ = {};
}

inventory_request session_changes::take_request() {
  inventory_request request{
      std::exchange(touched_, {}), std::exchange(pins_due_, {}), {}, std::exchange(every_setting_due_, false)};
  std::ranges::copy_if(request.settings, std::back_inserter(request.kinds),
                       [&](const std::string& name) { return !tools_.settable.contains(name); });
  due_ = false;
  return request;
}

std::optional<inventory_request> session_changes::ask_again(inventory_request failed, std::string_view sqlstate) const {
  if (sqlstate == pgwire::sqlstate::query_canceled) return failed;
  if (sqlstate == pgwire::sqlstate::character_not_in_repertoire) {
    std::erase_if(failed.settings, [](const std::string& name) { return !routing::is_ascii(name); });
    std::erase_if(failed.kinds, [](const std::string& name) { return !routing::is_ascii(name); });
    return failed;
  }
  if (sqlstate != pgwire::sqlstate::insufficient_privilege) return std::nullopt;
  // Those that an application has made up can be read by everybody, but for a few of extensions.
  const auto unreadable = [&](const std::string& name) {
    const auto known = tools_.settable.find(name);
    return known == tools_.settable.end() || known->second != setting_kind::anybodys;
  };
  const auto less = [&](const std::string& name) { return unreadable(name) && !name.contains('.'); };
  if (std::erase_if(failed.settings, less) == 0) std::erase_if(failed.settings, unreadable);
  failed.kinds.clear();
  return failed;
}

void session_changes::take(const inventory& found, pin_set asked, bool superuser) {
  pins_ = pins_.without(asked);
  pins_ |= found.pins;
  if (tools_.settable.size() > most_settings_known) tools_.settable.clear();
  for (const auto& [name, kind] : found.settable) tools_.settable.emplace(name, kind);
  // A SET that was refused leaves the server's own value, which is nothing to put on elsewhere.
  const auto may_set = [&](const std::string& name) {
    const auto known = tools_.settable.find(name);
    if (known == tools_.settable.end() || known->second == setting_kind::anybodys) return true;
    return superuser && known->second == setting_kind::superusers;
  };

  routing::session_state next = *state_;
  const routing::session_state tenants(terms_->start->tenant(), {});
  const std::string& role = terms_->start->role();
  strayed_.reset();
  for (const auto& [name, value] : found.settings) {
    if (!outlives_transaction(name) || name == "session_authorization" || !may_set(name)) continue;
    const std::string* given = name == "role" && !role.empty() ? &role : tenants.find(name);
    const bool tenants_own = value && given != nullptr && *given == *value;
    const bool no_role = name == "role" && value && *value == "none" && role.empty();
    std::optional<std::string_view> own;
    if (value && !tenants_own && !no_role) own = *value;
    auto refusal = own ? terms_->guard.refuses(name, {value}) : std::nullopt;
    if (refusal) {
      strayed_ = std::move(refusal);
      continue;
    }
    next = next.with(name, own);
  }
  if (next == *state_) return;
  state_ = next == *terms_->start ? terms_->start : std::make_shared<const routing::session_state>(std::move(next));
}

}  // namespace proxy
