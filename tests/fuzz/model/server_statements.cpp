// Of the model server: transactions, and what statements do.
#include <boost/algorithm/hex.hpp>

#include "protocol/backend_messages.hpp"
#include "server.hpp"

namespace fuzz_model {

namespace backend = pgwire::backend;
using kind = statement::kind;

std::string server::state() const {
  std::string all;
  for (std::size_t at = 0; at < setting_count; ++at) all += now_.value(at, start_) + "|";
  return all;
}

bool server::pinned() const {
  const bool by_sql = std::ranges::any_of(prepared_, [](const auto& each) { return each.second.by_sql; });
  return now_.listens || now_.temporary || locks_ > 0 || by_sql;
}

// --- transactions: start_xact_command, finish_xact_command, AbortCurrentTransaction ---

void server::start() {
  if (block_ != block::none) return;
  block_ = block::started;
  began_ = now_;
  pipelining_ = commits_at_once_ = false;
}

void server::finish() {
  switch (block_) {
    case block::started:
    case block::ends: return commit();
    case block::aborts: return roll_back();
    case block::begins: block_ = block::in_progress; return;
    default: return;
  }
}

void server::abort() {
  if (block_ == block::in_progress) {
    block_ = block::failed;
    now_ = savepoints_.empty() ? began_ : savepoints_.back().then;
  } else if (block_ != block::none && block_ != block::failed) {
    roll_back();
  }
}

void server::commit() {
  now_.transaction_ended();
  block_ = block::none;
  savepoints_.clear();
  portals_.clear();
}

void server::roll_back() {
  now_ = began_;
  block_ = block::none;
  savepoints_.clear();
  portals_.clear();
}

server::result server::transact(const statement& what) {
  const bool in_block = block_ == block::in_progress || block_ == block::failed;
  if (what.what == kind::begin) {
    if (!in_block) block_ = block::begins;
    return std::nullopt;
  }
  if (what.what == kind::commit) {
    block_ = block_ == block::failed ? block::aborts : block::ends;
    return std::nullopt;
  }
  if (what.what == kind::rollback) {
    block_ = block::aborts;
    return std::nullopt;
  }
  if (!in_block) return failure{"25P01", "can only be used in transaction blocks"};
  if (what.what == kind::savepoint) {
    savepoints_.push_back({what.name, now_});
    return std::nullopt;
  }
  auto at = savepoints_.size();
  while (at > 0 && savepoints_[at - 1].name != what.name) --at;
  if (at == 0) return failure{"3B001", "savepoint does not exist"};
  if (what.what == kind::release) {
    savepoints_.resize(at - 1);
    for (auto& [name, each] : portals_) each.level = std::min(each.level, at - 1);
  } else {
    savepoints_.resize(at);
    now_ = savepoints_.back().then;
    std::erase_if(portals_, [&](const auto& each) { return each.second.level >= at; });
    block_ = block::in_progress;
  }
  return std::nullopt;
}

// --- statements ---

bool server::returns_rows(const statement& what) const {
  if (what.what == kind::execute) {
    const auto found = prepared_.find(what.name);
    return found != prepared_.end() && found->second.rows;
  }
  return what.what == kind::select || what.what == kind::show || what.what == kind::every_setting;
}

std::string server::description(const statement& what) const {
  if (what.what == kind::execute) {
    const auto found = prepared_.find(what.name);
    if (found != prepared_.end() && found->second.what) return description(*found->second.what);
  }
  backend::row_description made;
  const std::size_t columns = what.what == kind::every_setting ? 2 : std::max<std::size_t>(what.items.size(), 1);
  for (std::size_t i = 0; i < columns; ++i) {
    made.fields.push_back({what.what == kind::show ? std::string_view(what.name) : "?column?", 0, 0, 25, -1, -1, 0});
  }
  return made.encode();
}

// What is found when names are looked up: at Parse, and again when a statement is planned.
server::result server::analyse(const statement& what) const {
  for (const item& each : what.items) {
    if (each.what == item::kind::broken) return failure{"42703", "column does not exist"};
    if (each.what == item::kind::temporary && !now_.temporary) return failure{"42P01", "relation does not exist"};
  }
  return std::nullopt;
}

server::result server::set(std::string_view name, const std::optional<std::string>& value, bool local) {
  const auto at = setting_called(name);
  if (!at) return failure{"42704", "unrecognized configuration parameter \"" + std::string(name) + "\""};
  if (value && *value == "bad") return failure{"22023", "invalid value for parameter"};
  now_.change(*at, value, local, start_);
  return std::nullopt;
}

server::result server::evaluate(const item& what, std::optional<std::string>& value) {
  const auto truth = [&](bool is) {
    value = is ? "t" : "f";
    return std::nullopt;
  };
  switch (what.what) {
    case item::kind::one: value = "1"; return std::nullopt;
    case item::kind::where: value = state(); return std::nullopt;
    case item::kind::temporary: value = "temporary"; return std::nullopt;
    case item::kind::fails: return failure{"22012", "division by zero"};
    case item::kind::broken: return failure{"42703", "column does not exist"};
    case item::kind::seed: value = ""; return std::nullopt;
    case item::kind::lock: ++locks_, value = ""; return std::nullopt;
    case item::kind::unlock: locks_ = 0, value = ""; return std::nullopt;
    case item::kind::set_config:
      if (auto why = set(what.name, what.value, what.local)) return why;
      if (const auto at = setting_called(what.name)) value = now_.value(*at, start_);
      return std::nullopt;
    case item::kind::setting_in_hex:
      if (const auto at = setting_called(what.name)) value = boost::algorithm::hex_lower(now_.value(*at, start_));
      return std::nullopt;
    case item::kind::context:
      if (const auto at = setting_called(what.name); at && *at != role_at) value = "user";
      return std::nullopt;
    case item::kind::has_prepared:
      return truth(std::ranges::any_of(prepared_, [](const auto& each) { return each.second.by_sql; }));
    case item::kind::has_temporary: return truth(now_.temporary);
    case item::kind::has_listening: return truth(now_.listens);
    case item::kind::has_lock: return truth(locks_ > 0);
    case item::kind::never: return truth(false);
  }
  return std::nullopt;
}

server::result server::run_select(const statement& what, std::string& answer, bool shows_rows) {
  std::vector<std::optional<std::string>> values(what.items.size());
  const std::string role = now_.value(role_at, start_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    item each = what.items[i];
    if (each.role_before) each.value = role;
    if (auto why = evaluate(each, values[i])) return why;
  }
  backend::data_row row;
  for (const auto& value : values)
    row.columns.push_back(value ? std::optional<std::string_view>(*value) : std::nullopt);
  if (shows_rows) answer += row.encode();
  return std::nullopt;
}

std::string server::every_setting() {
  std::string rows;
  for (std::size_t at = 0; at < setting_count; ++at) {
    if (at == role_at || !(now_.set[at] || now_.local[at])) continue;
    const std::string hex = boost::algorithm::hex_lower(now_.value(at, start_));
    rows += backend::data_row{{setting_names[at], std::string_view(hex)}}.encode();
  }
  return rows;
}

void server::discard_all() {
  now_ = {};
  locks_ = 0;
  std::erase_if(prepared_, [](const auto& each) { return !each.first.empty(); });
  portals_.clear();
  commits_at_once_ = true;
}

// `shows_rows`: else they are thrown away, as those of a portal that was not made for any. `alone`: not one of several.
server::result server::run(const statement& what, std::string& answer, std::string& tag, bool shows_rows, bool alone) {
  if (what.clients) on_statement_(client_, what.text + " " + state());
  const bool describes = shows_rows && !extended_;
  switch (what.what) {
    case kind::select:
      if (describes) answer += description(what);
      tag = "SELECT 1";
      return run_select(what, answer, shows_rows);
    case kind::every_setting:
      answer += description(what) + every_setting();
      tag = "SELECT 1";
      return std::nullopt;
    case kind::show: {
      const auto at = setting_called(what.name);
      if (!at) return failure{"42704", "unrecognized configuration parameter"};
      if (describes) answer += description(what);
      answer += backend::data_row{{std::string_view(now_.value(*at, start_))}}.encode();
      tag = "SHOW";
      return std::nullopt;
    }
    case kind::set:
      tag = what.text.starts_with("RESET") ? "RESET" : "SET";
      return set(what.name, what.value, what.local);
    case kind::reset_all:
      if (!what.clients && ++resets_ % 2 == 1) {  // the lodge tries it again
        return failure{"57014", "canceling statement due to statement timeout"};
      }
      tag = "RESET";
      now_.reset_all();
      return std::nullopt;
    case kind::discard_all:
      if (block_ != block::started || !alone || pipelining_) return failure{"25001", "DISCARD ALL cannot run here"};
      discard_all();
      tag = "DISCARD ALL";
      return std::nullopt;
    case kind::discard_sequences: tag = "DISCARD SEQUENCES"; return std::nullopt;
    case kind::begin: tag = "BEGIN"; return transact(what);
    case kind::commit: tag = block_ == block::failed ? "ROLLBACK" : "COMMIT"; return transact(what);
    case kind::rollback:
    case kind::rollback_to: tag = "ROLLBACK"; return transact(what);
    case kind::savepoint: tag = "SAVEPOINT"; return transact(what);
    case kind::release: tag = "RELEASE"; return transact(what);
    case kind::copy_in: tag = "COPY 1"; return std::nullopt;
    case kind::copy_out:
      answer +=
          backend::copy_out_response{}.encode() + backend::copy_data{"1\n"}.encode() + backend::copy_done{}.encode();
      tag = "COPY 1";
      return std::nullopt;
    case kind::prepare:
      if (auto why = analyse(*what.body)) return why;
      if (prepared_.contains(what.name)) {
        return failure{"42P05", "prepared statement \"" + what.name + "\" already exists"};
      }
      prepared_[what.name] = {what.body, true, returns_rows(*what.body)};
      tag = "PREPARE";
      return std::nullopt;
    case kind::execute: {
      const auto found = prepared_.find(what.name);
      if (found == prepared_.end()) {
        return failure{"26000", "prepared statement \"" + what.name + "\" does not exist"};
      }
      const statement_ptr body = found->second.what;
      const bool sets = body && body->what == kind::set;
      const bool known = body && (body->what == kind::select || body->what == kind::show || sets);
      if (!known) return failure{"0A000", "EXECUTE of this is not modelled"};
      if (auto why = analyse(*body)) return why;
      return run(*body, answer, tag, shows_rows, false);
    }
    case kind::deallocate:
      if (prepared_.erase(what.name) == 0) {
        return failure{"26000", "prepared statement \"" + what.name + "\" does not exist"};
      }
      tag = "DEALLOCATE";
      return std::nullopt;
    case kind::deallocate_all:
      std::erase_if(prepared_, [](const auto& each) { return !each.first.empty(); });
      tag = "DEALLOCATE ALL";
      return std::nullopt;
    case kind::listen: now_.listens = true, tag = "LISTEN"; return std::nullopt;
    case kind::unlisten: now_.listens = false, tag = "UNLISTEN"; return std::nullopt;
    case kind::create_temporary:
      if (now_.temporary) return failure{"42P07", "relation already exists"};
      now_.temporary = true, tag = "CREATE TABLE";
      return std::nullopt;
    case kind::drop_temporary:
      if (!now_.temporary) return failure{"42P01", "table does not exist"};
      now_.temporary = false, tag = "DROP TABLE";
      return std::nullopt;
    case kind::unseen: tag = "DO"; return set("work_mem", "8MB", false);
  }
  return std::nullopt;
}

}  // namespace fuzz_model
