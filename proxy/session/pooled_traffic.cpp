#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "protocol/writer.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
using pgwire::frame_rules;
using pgwire::trait;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace sqlstate = pgwire::sqlstate;
namespace to_backend = pgwire::frontend_type;
namespace from_backend = pgwire::backend_type;

// A statement is judged whole, so it is held whole: as long as the server itself would take it.
constexpr std::size_t most_statement = std::size_t{1} << 30;

// An unnamed statement is worth a prepared one when it comes for the third time.
constexpr std::uint32_t promote_at = 3;

// Names of settings, which an application can invent.
constexpr std::size_t most_settings_known = 10'000;

// How often it is asked what a transaction has left behind, before that counts as unknown.
constexpr int most_inventories = 5;

// No SQL, in any state of any transaction.
constexpr std::string_view sure_failure = "/* a statement that pglodge refused */ refused";

const frame_rules& client_rules() {
  static const frame_rules rules = [] {
    frame_rules made = pgwire::frontend_rules();
    const auto look_at = [&](std::initializer_list<char> types, frame_rules::attention how) {
      for (const char type : types) made.of[static_cast<unsigned char>(type)].look = how;
    };
    look_at({to_backend::query, to_backend::parse, to_backend::bind, to_backend::describe, to_backend::execute,
             to_backend::close, to_backend::function_call},
            frame_rules::attention::want_body);
    look_at({to_backend::sync, to_backend::flush, to_backend::terminate, to_backend::copy_done, to_backend::copy_fail},
            frame_rules::attention::notice);
    return made;
  }();
  return rules;
}

std::string ready_for_query(char status) {
  return backend::ready_for_query{static_cast<backend::transaction_status>(status)}.encode();
}

// The text of a Query message, up to its zero byte.
std::string_view query_text(pgwire::byte_view body) {
  const auto text = pgwire::as_text(body);
  return text.substr(0, text.find('\0'));
}

// The two names that a Bind begins with, and what follows them.
struct bind_head {
  std::string_view portal;
  std::string_view statement;
  std::string_view rest;
};
std::optional<bind_head> read_bind_head(pgwire::byte_view body) {
  pgwire::byte_reader reader(body);
  bind_head head;
  head.portal = reader.cstring();
  head.statement = reader.cstring();
  head.rest = reader.remaining();
  if (!reader.ok()) return std::nullopt;
  return head;
}

std::string bind_with(const bind_head& head, std::string_view statement) {
  pgwire::writer out;
  out.begin(to_backend::bind).cstring(head.portal).cstring(statement).bytes(head.rest).finish();
  return out.take();
}

// Settings of one transaction only, and one that cannot be read back.
bool outlives_transaction(std::string_view setting) {
  return setting != "transaction_isolation" && setting != "transaction_read_only" &&
         setting != "transaction_deferrable" && setting != "seed";
}

// Functions whose calls by number leave nothing in the session: those of large objects, which is what libpq calls.
bool leaves_nothing(std::uint32_t function) {
  switch (function) {
    case 715:
    case 764:
    case 767:
    case 952:
    case 953:
    case 954:
    case 955:
    case 956:
    case 957:
    case 958:
    case 964:
    case 1004:
    case 3170:
    case 3171:
    case 3172:
    case 3457:
    case 3458:
    case 3459:
    case 3460: return true;
    default: return false;
  }
}

// In the server's own words, which drivers look for.
pgwire::error_report result_changed() {
  return {"ERROR", std::string(sqlstate::feature_not_supported), "cached plan must not change result type", {}, {}};
}

// An ErrorResponse in which the server calls a statement by the lodge's name.
std::string in_clients_words(pgwire::byte_view body, std::string_view server_name, std::string_view client_name) {
  auto error = backend::error_response::decode(body);
  std::string message;
  if (error) {
    for (auto& [code, text] : error->fields) {
      if (code != 'M') continue;
      message = text;
      const std::string ours = '"' + std::string(server_name) + '"';
      if (const auto at = message.find(ours); at != std::string::npos) {
        message.replace(at + 1, server_name.size(), client_name);
      }
      text = message;
    }
    return error->encode();
  }
  pgwire::writer out;
  out.begin(from_backend::error_response).bytes(pgwire::as_text(body)).finish();
  return out.take();
}

bool has_reset(const pgwire::verdict& verdict) {
  return verdict.traits.has(trait::reset_all) || verdict.traits.has(trait::discard_all) ||
         std::ranges::any_of(verdict.settings, [](const auto& change) { return change.values.empty(); });
}

}  // namespace

pooled_traffic::pooled_traffic(std::uint64_t session, statement_tools& tools)
    : session_(session),
      tools_(tools),
      state_(std::make_shared<const routing::session_state>()),
      told_(std::make_shared<const parameter_map>()),
      client_(client_rules(), most_statement) {}

void pooled_traffic::set_terms(session_terms terms) {
  // What the client set itself since its start goes on being set, unless the new tenant's start says otherwise.
  routing::session_state next = *terms.start;
  if (terms_.start) {
    for (const auto& [name, value] : state_->own()) {
      const std::string* before = terms_.start->find(name);
      const bool changed = before == nullptr || *before != value;
      const bool tenants = name == "role" || name == "search_path";
      if (changed && !tenants && terms.start->find(name) == nullptr) next = next.with(name, value);
    }
  }
  terms_ = std::move(terms);
  state_ = next == *terms_.start ? terms_.start : std::make_shared<const routing::session_state>(std::move(next));
}

// --- the client's stream ---

pooled_traffic::step pooled_traffic::advance(byte_run& to_server, byte_run& to_client) {
  for (;;) {
    const frame_piece* piece = client_.peek();
    if (piece == nullptr) {
      if (!client_.fault()) return step::starved;
      fault_ = traffic_fault{*client_.fault(), client_.faulty_type()};
      return step::fault;
    }
    if (const auto stop = consider(*piece, to_server, to_client)) {
      if (*stop == step::terminated) client_.pop();
      return *stop;
    }
    client_.pop();
  }
}

std::optional<pooled_traffic::step> pooled_traffic::consider(const frame_piece& piece, byte_run& to_server,
                                                             byte_run& to_client) {
  if (!piece.begins) {
    if (rest_passes_) to_server.pass(piece.bytes);
    return std::nullopt;
  }
  rest_passes_ = false;
  switch (piece.type) {
    case 0:  // COPY data; a server that has not asked for any passes over it
    case to_backend::copy_done:
    case to_backend::copy_fail:
      rest_passes_ = server_ != nullptr;
      if (rest_passes_) to_server.pass(piece.bytes);
      if (piece.type != 0) {
        copy_in_ = false;
        copy_ended_ = true;
      }
      return std::nullopt;
    case to_backend::terminate:
      // What was asked before is answered before.
      return barrier_ || (server_ != nullptr && !answered() && !server_waits()) ? step::waits : step::terminated;
    case to_backend::flush:
      if (server_ != nullptr) to_server.pass(piece.bytes);
      return std::nullopt;
    case to_backend::sync:
      if (server_ != nullptr) break;
      skipping_ = false;
      unsynced_ = false;
      to_client.insert(ready_for_query('I'));
      return std::nullopt;
    default:
      if (skipping_) return std::nullopt;
  }
  if (barrier_) return step::waits;
  if (server_ == nullptr) return step::needs_lease;
  over_ = false;
  const bool spoke = std::exchange(speaking_, true);
  spoken_ = spoken_ || spoke;
  switch (piece.type) {
    case to_backend::query: on_query(piece, to_server); break;
    case to_backend::parse: on_parse(piece, to_server); break;
    case to_backend::bind:
      if (!on_bind(piece, to_server)) return step::waits;
      break;
    case to_backend::describe:
      if (!on_describe(piece, to_server)) return step::waits;
      break;
    case to_backend::execute: on_execute(piece, to_server); break;
    case to_backend::close: on_close(piece, to_server); break;
    case to_backend::sync: on_sync(piece, to_server); break;
    default: on_function_call(piece, to_server);
  }
  give_answers(to_client);
  return std::nullopt;
}

void pooled_traffic::on_query(const frame_piece& piece, byte_run& to_server) {
  const auto text = query_text(piece.body());
  const auto verdict = tools_.verdicts.of(text);
  expected entry{kind::query};
  if (verdict) {
    if (auto refusal = note(*verdict, nullptr)) {
      refuse_at_server(std::move(*refusal), true, to_server);
      return;
    }
    if (verdict->traits.has(trait::reads_sequence)) have_own_sequences(to_server);
    for (const std::string& name : verdict->executes) have_under_own_name(name, true, to_server);
    for (const std::string& name : verdict->deallocates) have_under_own_name(name, true, to_server);
    if (verdict->deallocates.size() == 1) entry.client_name = verdict->deallocates.front();
    if (has_reset(*verdict) && verdict->statements.size() > 1 && !verdict->traits.has(trait::unseen)) {
      const std::string rewritten = with_restores(text, *verdict, entry.ours);
      forward_query(std::move(entry));
      to_server.insert(frontend::query{rewritten}.encode());
      return;
    }
    if (has_reset(*verdict)) {
      restore_after_ = restores(*verdict);
      entry.hold_ready = !restore_after_.empty();
      restoring_ = entry.hold_ready;
    }
  }
  forward_query(std::move(entry));
  to_server.pass(piece.bytes);
}

void pooled_traffic::forward_query(expected entry) {
  // A simple query closes the unnamed statement.
  if (unsynced_ && unnamed_.statement) {
    entry.undo = on_skip::recall_unnamed;
    entry.statement = unnamed_.statement;
  }
  unnamed_ = {};
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = unsynced_;
  push(std::move(entry));
  unsynced_ = false;
  close_segment();
}

void pooled_traffic::on_parse(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::parse::decode(piece.body());
  if (!what) {  // the server says what is wrong with it
    server_->statements.unnamed_unknown = true;
    push({kind::parse});
    to_server.pass(piece.bytes);
    return;
  }
  const auto statement = tools_.statements.share(what->query, what->parameter_types, tools_.verdicts.of(what->query));
  if (!what->statement.empty()) {
    const std::string name(what->statement);
    if (named_.contains(name)) {  // an error, of which the server knows the words
      have_under_own_name(name, false, to_server);
      push({kind::parse});
      to_server.pass(piece.bytes);
      return;
    }
    named_.emplace(name, client_statement{statement, true});
    expected entry{kind::parse};
    entry.undo = on_skip::forget_name;
    entry.client_name = name;
    parse_at_server(*what, statement, std::move(entry), to_server);
    return;
  }

  expected entry{kind::parse};
  entry.undo = on_skip::recall_unnamed;
  entry.statement = std::exchange(unnamed_, client_statement{statement, false}).statement;
  if (!statement->verdict && tools_.seen.count(statement->hash) >= promote_at) {
    unnamed_.at_server = true;
    parse_at_server(*what, statement, std::move(entry), to_server);
    return;
  }
  server_->statements.unnamed = statement;
  server_->statements.unnamed_unknown = false;
  push(std::move(entry));
  to_server.pass(piece.bytes);
}

// Prepares it under a name of ours, unless it is there already. In a failed transaction the server has to say so.
void pooled_traffic::parse_at_server(const frontend::parse& what, const statement_ptr& statement, expected entry,
                                     byte_run& to_server) {
  const std::uint64_t key = parse_key();
  const auto* there = status_ != 'E' ? server_->statements.find(statement, key) : nullptr;
  if (there != nullptr) {
    if (!entry.client_name.empty()) named_[entry.client_name].shape = there->shape;
    entry.what = kind::answer;
    entry.text = backend::parse_complete{}.encode();
    push(std::move(entry));
    return;
  }
  entry.server_name = server_->statements.add(statement, key);
  frontend::parse renamed = what;
  renamed.statement = entry.server_name;
  to_server.insert(renamed.encode());
  const std::string server_name = entry.server_name;
  std::string client_name = entry.client_name;
  push(std::move(entry));
  if (!client_name.empty()) describe_at_server(server_name, std::move(client_name), to_server);
}

// What a statement's result looks like is remembered, so that it can be told whether it is still the same when it is
// prepared again elsewhere: drivers rely on the server's error.
void pooled_traffic::describe_at_server(const std::string& server_name, std::string client_name, byte_run& to_server) {
  to_server.insert(frontend::describe{frontend::target::statement, server_name}.encode());
  expected entry{kind::describe};
  entry.silent = true;
  entry.shape_wanted = true;
  entry.text = server_name;
  entry.client_name = std::move(client_name);
  push(std::move(entry));
}

pooled_traffic::client_statement pooled_traffic::known_as(std::string_view name) const {
  if (name.empty()) return unnamed_;
  const auto found = named_.find(std::string(name));
  return found != named_.end() ? found->second : client_statement{};
}

// False: not yet.
bool pooled_traffic::on_bind(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto head = read_bind_head(piece.body());
  const client_statement what = head ? known_as(head->statement) : client_statement{};
  readiness ready;
  if (what.statement && what.at_server) {
    ready = have_prepared(what, to_server);
    if (ready.waits) return false;
    if (ready.changed) {
      refuse_at_server(result_changed(), false, to_server);
      return true;
    }
  }
  if (what.statement && what.statement->verdict) {
    const auto values = frontend::bind::decode(piece.body());
    if (auto refusal = note(*what.statement->verdict, values ? &*values : nullptr)) {
      refuse_at_server(std::move(*refusal), false, to_server);
      return true;
    }
    if (what.statement->verdict->traits.has(trait::reads_sequence)) have_own_sequences(to_server);
  }
  if (head) {
    std::erase_if(portals_, [&](const auto& known) { return known.first == head->portal; });
    if (what.statement && what.statement->verdict) portals_.emplace_back(head->portal, what.statement);
  }
  expected entry{kind::bind};
  if (what.statement && what.at_server) {
    to_server.insert(bind_with(*head, ready.name));
    entry.text = ready.name;
    entry.client_name = head->statement;
  } else {
    if (head && head->statement.empty()) have_unnamed(to_server);
    to_server.pass(piece.bytes);
  }
  push(std::move(entry));
  return true;
}

// False: not yet.
bool pooled_traffic::on_describe(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::describe::decode(piece.body());
  if (what && what->target == frontend::target::statement) {
    const client_statement known = known_as(what->name);
    if (known.statement && known.at_server) {
      const readiness ready = have_prepared(known, to_server);
      if (ready.waits) return false;
      if (ready.changed) {
        refuse_at_server(result_changed(), false, to_server);
        return true;
      }
      frontend::describe renamed = *what;
      renamed.name = ready.name;
      to_server.insert(renamed.encode());
      push({kind::describe});
      return true;
    }
    if (what->name.empty()) have_unnamed(to_server);
  }
  to_server.pass(piece.bytes);
  push({kind::describe});
  return true;
}

void pooled_traffic::on_execute(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::execute::decode(piece.body());
  const statement_ptr statement = what && !portals_.empty() ? statement_of_portal(what->portal) : nullptr;
  if (!statement) {
    to_server.pass(piece.bytes);
    push({kind::execute});
    return;
  }
  const pgwire::verdict& verdict = *statement->verdict;
  for (const std::string& name : verdict.executes) have_under_own_name(name, false, to_server);
  for (const std::string& name : verdict.deallocates) have_under_own_name(name, false, to_server);
  to_server.pass(piece.bytes);
  expected entry{kind::execute};
  if (verdict.deallocates.size() == 1) entry.client_name = verdict.deallocates.front();
  push(std::move(entry));
  if (has_reset(verdict)) {
    if (const auto steps = restores(verdict); !steps.empty()) {
      run_hidden(routing::dress_query(steps), owner::restore, to_server);
    }
  }
}

void pooled_traffic::on_close(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::close::decode(piece.body());
  if (what && what->target == frontend::target::statement) {
    if (what->name.empty()) {
      expected entry{kind::close};
      entry.undo = on_skip::recall_unnamed;
      entry.statement = std::exchange(unnamed_, {}).statement;
      server_->statements.unnamed.reset();
      push(std::move(entry));
      to_server.pass(piece.bytes);
      return;
    }
    if (const auto found = named_.find(std::string(what->name)); found != named_.end()) {
      expected entry{kind::answer};
      entry.undo = on_skip::recall_name;
      entry.client_name = found->first;
      entry.statement = found->second.statement;
      entry.text = backend::close_complete{}.encode();
      named_.erase(found);
      push(std::move(entry));
      return;
    }
  } else if (what) {
    std::erase_if(portals_, [&](const auto& known) { return known.first == what->name; });
  }
  to_server.pass(piece.bytes);
  push({kind::close});
}

void pooled_traffic::on_sync(const frame_piece& piece, byte_run& to_server) {
  to_server.pass(piece.bytes);
  push({kind::sync});
  unsynced_ = false;
  skipping_ = false;
  close_segment();
}

void pooled_traffic::on_function_call(const frame_piece& piece, byte_run& to_server) {
  const auto call = frontend::function_call::decode(piece.body());
  if (!call || !leaves_nothing(call->function)) {
    pgwire::verdict unseen;
    unseen.traits.add(trait::unseen);
    if (auto refusal = note(unseen, nullptr)) {
      refuse_at_server(std::move(*refusal), true, to_server);
      return;
    }
  }
  push({kind::function_call});
  to_server.pass(piece.bytes);
  unsynced_ = false;
  close_segment();
}

// What a statement may do, before it does: what is to be asked of the server afterwards, or why it may not.
std::optional<pgwire::error_report> pooled_traffic::note(const pgwire::verdict& verdict, const frontend::bind* values) {
  const auto value_of = [&](const pgwire::operand& what) -> std::optional<std::string> {
    if (what.from == pgwire::operand::source::constant) return what.text;
    if (what.from != pgwire::operand::source::bound || values == nullptr) return std::nullopt;
    if (what.parameter == 0 || what.parameter > values->parameters.size()) return std::nullopt;
    const auto& value = values->parameters[what.parameter - 1U];
    if (!value) return std::nullopt;
    return std::string(*value);
  };
  bool unseen = verdict.traits.has(trait::unseen);
  if (terms_.guard.is_on() && unseen) {
    const bool unread = verdict.statements.empty();
    if (unread) return session_guard::unreadable();
    // What restores cannot be put behind the right statement then.
    if (has_reset(verdict) && verdict.statements.size() > 1) return session_guard::unreadable();
  }
  // What EXECUTE runs was said earlier; what it does has to be asked.
  if (!verdict.executes.empty()) {
    unseen = true;
    for (const std::string& name : verdict.executes) {
      const auto named = named_.find(name);
      const auto& runs = named != named_.end() ? named->second.statement->verdict : nullptr;
      if (!runs) continue;
      // One that executes another, itself perhaps, is not followed.
      if (!runs->executes.empty()) {
        if (terms_.guard.is_on()) return session_guard::unreadable();
        continue;
      }
      if (auto refusal = note(*runs, nullptr)) return refusal;
    }
  }
  std::vector<std::string> settings;
  for (const auto& change : verdict.settings) {
    const auto name = value_of(change.name);
    if (!name) {
      if (terms_.guard.is_on()) return session_guard::unreadable();
      unseen = true;
      continue;
    }
    const std::string canonical = pgwire::canonical_setting_name(*name);
    std::vector<std::optional<std::string>> items;
    items.reserve(change.values.size());
    for (const auto& item : change.values) items.push_back(value_of(item));
    if (auto refusal = terms_.guard.refuses(canonical, items)) return refusal;
    dirty_ = dirty_ || routing::affects_reading(canonical);
    if (!change.local) settings.push_back(canonical);
  }
  for (std::string& name : settings) note_setting(std::move(name));

  const auto has = [&](trait which) { return verdict.traits.has(which); };
  if (has(trait::reset_all) || has(trait::discard_all) || unseen) {
    for (const auto& list : {state_->own(), terms_.start->own(), terms_.start->tenant()}) {
      for (const auto& [name, value] : list) note_setting(name);
    }
    dirty_ = true;
  }
  if (unseen) {
    every_setting_due_ = true;
    note_setting("role");
    server_->suspect = true;
    pins_due_ |= passing_pins;
  }
  if (has(trait::prepared) || has(trait::deallocate_all)) pins_due_.add(pin::prepared);
  if (has(trait::temporary)) pins_due_.add(pin::temporary);
  const std::string* path = has(trait::defines) ? state_->find("search_path") : nullptr;
  if (path != nullptr && path->find("pg_temp") != std::string::npos) pins_due_.add(pin::temporary);
  if (has(trait::listening)) pins_due_.add(pin::listening);
  if (has(trait::hold_cursor)) pins_due_.add(pin::hold_cursor);
  if (has(trait::advisory_lock)) pins_due_.add(pin::advisory_lock);
  if (has(trait::load)) pins_.add(pin::loaded);
  if (has(trait::random_seed)) pins_.add(pin::random_seed);
  if (has(trait::lingering)) pins_.add(pin::lingering);
  if (has(trait::defines) || has(trait::drops) || has(trait::temporary))
    tools_.schema_generation.fetch_add(1, std::memory_order_relaxed);
  pins_due_ |= pins_.both(passing_pins);  // any of it may be what ends a pin
  due_ = due_ || unseen || !pins_due_.empty();
  return std::nullopt;
}

void pooled_traffic::note_setting(std::string name) {
  if (!outlives_transaction(name)) return;
  if (name == "session_authorization") {
    pins_due_.add(pin::authorization);
    note_setting("role");  // which it takes off
    return;
  }
  if (std::ranges::find(touched_, name) == touched_.end()) touched_.push_back(std::move(name));
}

// Back to its default means back to the session's start, of which the server knows nothing.
std::vector<routing::dress_step> pooled_traffic::restores(const pgwire::verdict& verdict) const {
  const routing::session_state& start = *terms_.start;
  if (verdict.traits.has(trait::discard_all)) return difference({}, start);
  std::vector<routing::dress_step> steps;
  if (verdict.traits.has(trait::reset_all)) {
    steps = difference({}, start);
    std::erase_if(steps, [](const auto& each) { return each.name == "role"; });
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

// Of several statements in one text, each that resets is followed at once by what restores.
std::string pooled_traffic::with_restores(std::string_view text, const pgwire::verdict& verdict,
                                          std::vector<bool>& ours) const {
  std::string rewritten;
  for (const auto& span : verdict.statements) {
    const auto statement = text.substr(span.begin, span.end - span.begin);
    rewritten.append(statement) += ';';
    ours.push_back(false);
    const auto alone = pgwire::judge(statement);
    const auto steps = has_reset(alone) ? restores(alone) : std::vector<routing::dress_step>{};
    if (steps.empty()) continue;
    rewritten += routing::dress_query(steps) + ';';
    ours.push_back(true);
  }
  return rewritten;
}

// The statement comes to nothing at the server, so that transactions and pipelines go on as they must after an error.
void pooled_traffic::refuse_at_server(pgwire::error_report why, bool simple, byte_run& to_server) {
  expected entry{simple ? kind::query : kind::parse};
  entry.refusal = std::make_shared<pgwire::error_report>(std::move(why));
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = unsynced_;
  if (simple) {
    to_server.insert(frontend::query{sure_failure}.encode());
    unnamed_ = {};
    unsynced_ = false;
  } else {
    to_server.insert(frontend::parse{{}, sure_failure, {}}.encode());
  }
  push(std::move(entry));
  if (simple) close_segment();
}

// Makes sure that it is prepared at the server, and that it is what the client prepared.
pooled_traffic::readiness pooled_traffic::have_prepared(const client_statement& what, byte_run& to_server) {
  const std::uint64_t key = parse_key();
  const auto* there = server_->statements.find(what.statement, key);
  if (there == nullptr && dirty_) there = server_->statements.find(what.statement, clean_key());
  if (there != nullptr) {
    const bool changed = what.shape && there->shape && *what.shape != *there->shape;
    const bool unknown = what.shape && !there->shape;
    return {there->name, unknown && preparing_, changed};
  }
  expected entry{kind::parse};
  entry.silent = true;
  entry.server_name = server_->statements.add(what.statement, key);
  to_server.insert(frontend::parse{entry.server_name, what.statement->text, what.statement->parameter_types}.encode());
  readiness result{entry.server_name, what.shape.has_value(), false};
  push(std::move(entry));
  if (result.waits) {
    describe_at_server(result.name, {}, to_server);
    to_server.insert(frontend::flush{}.encode());
    preparing_ = barrier_ = true;
  }
  return result;
}

void pooled_traffic::on_shape(const frame_piece& piece) {
  const expected& at = *front();
  if (!piece.ends) return;
  const std::uint64_t shape = shape_of(piece.body());
  server_->statements.set_shape(at.text, shape);
  const auto named = named_.find(at.client_name);
  if (!at.client_name.empty() && named != named_.end()) named->second.shape = shape;
}

// Makes the server's unnamed statement the client's, or none where the client has none.
void pooled_traffic::have_unnamed(byte_run& to_server) {
  server_statements& there = server_->statements;
  if (there.unnamed == unnamed_.statement && !there.unnamed_unknown) return;
  there.unnamed = unnamed_.statement;
  there.unnamed_unknown = false;
  expected entry{unnamed_.statement ? kind::parse : kind::close};
  entry.silent = true;
  push(std::move(entry));
  if (unnamed_.statement) {
    to_server.insert(frontend::parse{{}, unnamed_.statement->text, unnamed_.statement->parameter_types}.encode());
  } else {
    to_server.insert(frontend::close{frontend::target::statement, {}}.encode());
  }
}

// For SQL that speaks of a statement which the client prepared by the protocol.
void pooled_traffic::have_under_own_name(const std::string& name, bool simple, byte_run& to_server) {
  const auto found = named_.find(name);
  if (found == named_.end()) return;
  expected entry{kind::parse};
  entry.silent = true;
  if (simple) entry.whose = owner::helper;
  const prepared_statement& statement = *found->second.statement;
  to_server.insert(frontend::parse{name, statement.text, statement.parameter_types}.encode());
  push(std::move(entry));
  if (simple) {
    to_server.insert(frontend::sync{}.encode());
    expected sync{kind::sync};
    sync.whose = owner::helper;
    push(std::move(sync));
  }
  server_->statements.unwanted(name);
}

// What sequences gave to whoever had this connection before is nobody else's business.
void pooled_traffic::have_own_sequences(byte_run& to_server) {
  if (client_before_ == session_ || client_before_ == 0 || spoken_) return;
  run_hidden("DISCARD SEQUENCES", owner::helper, to_server);
}

// The state that statements are parsed in, as a number that differs where results could.
std::uint64_t pooled_traffic::clean_key() const {
  return state_->reading_fingerprint() ^
         (tools_.schema_generation.load(std::memory_order_relaxed) * 0xD6E8FEB86659FD93U);
}

std::uint64_t pooled_traffic::parse_key() const {
  return dirty_ ? clean_key() ^ (session_ * 0x9E3779B97F4A7C15U) ^ 1U : clean_key();
}

statement_ptr pooled_traffic::statement_of_portal(std::string_view portal) const {
  const auto found = std::ranges::find(portals_, portal, &std::pair<std::string, statement_ptr>::first);
  return found != portals_.end() ? found->second : nullptr;
}

// A statement of the lodge's own in the client's pipeline, by way of the unnamed statement.
void pooled_traffic::run_hidden(std::string_view sql, owner whose, byte_run& to_server) {
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = true;
  to_server.insert(frontend::parse{{}, sql, {}}.encode() + frontend::bind{}.encode() + frontend::execute{}.encode());
  for (const kind what : {kind::parse, kind::bind, kind::execute}) {
    expected entry{what};
    entry.whose = whose;
    push(std::move(entry));
  }
}

void pooled_traffic::hidden_query(std::string_view sql, owner whose, byte_run& to_server) {
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = false;
  to_server.insert(frontend::query{sql}.encode());
  expected entry{kind::query};
  entry.whose = whose;
  push(std::move(entry));
}

void pooled_traffic::close_unwanted(byte_run& to_server) {
  if (!server_->statements.has_unwanted()) return;
  for (const std::string& name : server_->statements.take_unwanted()) {
    to_server.insert(frontend::close{frontend::target::statement, name}.encode());
    expected entry{kind::close};
    entry.whose = owner::helper;
    push(std::move(entry));
  }
}

void pooled_traffic::refuse(pgwire::error_report why, byte_run& to_client) {
  const frame_piece* piece = client_.peek();
  why.severity = "ERROR";
  to_client.insert(pgwire::encode_error(why));
  const bool simple =
      piece != nullptr && (piece->type == to_backend::query || piece->type == to_backend::function_call);
  if (simple) {
    to_client.insert(ready_for_query('I'));
  } else {
    skipping_ = true;
  }
  if (piece != nullptr) client_.pop();
}

bool pooled_traffic::wants_last_connection() {
  const frame_piece* piece = client_.peek();
  if (piece == nullptr || !piece->begins || !piece->ends) return false;
  if (piece->type == to_backend::query) {
    const auto text = query_text(piece->body());
    if (text.find("val") == std::string_view::npos && text.find("VAL") == std::string_view::npos) return false;
    const auto verdict = tools_.verdicts.of(text);
    return verdict && verdict->traits.has(trait::reads_sequence);
  }
  if (piece->type != to_backend::bind) return false;
  const auto head = read_bind_head(piece->body());
  if (!head) return false;
  const statement_ptr statement = known_as(head->statement).statement;
  return statement && statement->verdict && statement->verdict->traits.has(trait::reads_sequence);
}

bool pooled_traffic::idle() const {
  return nothing_expected() && status_ == 'I' && !unsynced_ && !copy_in_ && !dressing_ && client_.at_boundary();
}

// --- the lease ---

void pooled_traffic::begin_lease(server_session& server, byte_run& to_server) {
  server_ = &server;
  status_ = 'I';
  over_ = undressed_ = dirty_ = spoken_ = speaking_ = false;
  client_before_ = server.last_client;
  const bool foreign = !server.worn || (server.used && server.tenant != terms_.tenant) ||
                       (server.suspect && server.last_client != session_);
  close_unwanted(to_server);
  const routing::session_state bare;
  if (foreign) {
    server.statements.clear();
    run_hidden("DISCARD ALL", owner::dress, to_server);
    client_before_ = 0;
  }
  const bool fits = !foreign && (server.worn == state_ || *server.worn == *state_);
  if (fits) {
    server.worn = state_;
  } else {
    put_on(foreign ? bare : *server.worn, to_server);
  }
  server.tenant = terms_.tenant;
  server.used = true;
  server.suspect = server.suspect && !foreign;
  server.last_client = session_;
}

// The empty query commits what went well, and is skipped with all the rest if it did not.
void pooled_traffic::put_on(const routing::session_state& worn, byte_run& to_server) {
  const auto steps = difference(worn, *state_);
  if (!steps.empty()) run_hidden(routing::dress_query(steps), owner::dress, to_server);
  hidden_query("", owner::dress, to_server);
  dressing_ = true;
  server_->worn = nullptr;
}

pooled_traffic::outcome pooled_traffic::from_server(std::span<const std::byte> chunk, byte_run& to_client,
                                                    byte_run& to_server) {
  pgwire::frame_cutter& stream = server_->incoming;
  stream.feed(chunk);
  while (const frame_piece* piece = stream.peek()) {
    server_piece(*piece, to_client, to_server);
    stream.pop();
    if (undressed_) return outcome::undressed;
    if (lost_track_) return outcome::lost_track;
  }
  if (stream.fault()) {
    fault_ = traffic_fault{*stream.fault(), stream.faulty_type()};
    return outcome::lost_track;
  }
  return over_ && stream.at_boundary() ? outcome::over : outcome::leased;
}

void pooled_traffic::end_lease() { forget_lease(); }

void pooled_traffic::forget_lease() {
  server_ = nullptr;
  over_ = dressing_ = undressed_ = restoring_ = preparing_ = barrier_ = copy_in_ = copy_ended_ = dirty_ = false;
  status_ = 'I';
  portals_.clear();
  expected_.clear();
  if (expected_.capacity() > 16) expected_.shrink_to_fit();
  head_ = 0;
}

void pooled_traffic::explain_undressed(byte_run& to_client) {
  bool answered = false;
  bool asked = false;
  for (std::size_t i = head_; i < expected_.size(); ++i) {
    const expected& entry = expected_[i];
    if (entry.whose != owner::client) continue;
    asked = true;
    answered = answered || entry.what == kind::query || entry.what == kind::sync || entry.what == kind::function_call;
    undo(entry, false);
  }
  if (asked) {
    to_client.insert(pgwire::encode_error(undressed_why_));
    if (answered) {
      to_client.insert(ready_for_query('I'));
    } else {
      skipping_ = true;
    }
  }
  touched_.clear();
  due_ = every_setting_due_ = false;
  pins_ = pins_due_ = {};  // what it held is gone with the connection
  forget_lease();
  unsynced_ = asked && !answered;
}

void pooled_traffic::server_piece(const frame_piece& piece, byte_run& to_client, byte_run& to_server) {
  if (!piece.begins) {
    if (reply_passes_) to_client.pass(piece.bytes);
    return;
  }
  expected* const at = front();
  const bool inserted = at != nullptr && at->done < at->ours.size() && at->ours[at->done];
  const bool secret = at != nullptr && (at->whose != owner::client || at->silent || inserted);
  reply_passes_ = !secret;
  const auto ends = [&](kind what) {
    if (at == nullptr || at->what != what) {
      lost_track_ = at == nullptr || at->what != kind::query;
      return;
    }
    pop_front();
  };
  switch (piece.type) {
    case 0: break;
    case from_backend::data_row:
      if (asking_ && secret && piece.ends && !asking_->on_row(piece.body())) lost_track_ = true;
      break;
    case from_backend::parse_complete: ends(kind::parse); break;
    case from_backend::bind_complete: ends(kind::bind); break;
    case from_backend::close_complete: ends(kind::close); break;
    case from_backend::no_data:
    case from_backend::row_description:
      if (asking_ && secret) asking_->on_row_description();
      if (at == nullptr || at->what != kind::describe) break;
      if (at->shape_wanted) on_shape(piece);
      pop_front();
      if (std::exchange(preparing_, false)) settle_barrier();
      break;
    case from_backend::command_complete:
      if (!secret) on_tag(piece);
      if (at != nullptr) ++at->done;
      [[fallthrough]];
    case from_backend::empty_query_response:
    case from_backend::portal_suspended:
      if (at == nullptr) {
        lost_track_ = true;
      } else if (at->what == kind::execute) {
        pop_front();
      }
      break;
    case from_backend::copy_in_response: on_copy_in(); break;
    case from_backend::parameter_status: on_parameter(piece, to_client); return;
    case from_backend::error_response:
      on_error(piece, to_client);
      give_answers(to_client);
      return;
    case from_backend::ready_for_query: on_ready(piece, to_client, to_server); return;
    case from_backend::notification_response: reply_passes_ = true; break;
    default: break;
  }
  if (reply_passes_) to_client.pass(piece.bytes);
  give_answers(to_client);
}

void pooled_traffic::on_tag(const frame_piece& piece) {
  const auto tag = query_text(piece.body());
  const expected* at = front();
  if (tag == "DEALLOCATE" && at != nullptr && !at->client_name.empty()) {
    named_.erase(at->client_name);
  } else if (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") {
    named_.clear();
    server_->statements.clear();
    server_->statements.unnamed_unknown = true;
    if (tag == "DISCARD ALL") {
      discarded_ = true;
      state_ = terms_.start;  // which is put on again before anything else runs
      touched_.clear();
      pins_due_ = passing_pins;
      due_ = true;
    }
  }
}

void pooled_traffic::on_parameter(const frame_piece& piece, byte_run& to_client) {
  const auto status =
      piece.ends ? backend::parameter_status::decode(piece.body()) : pgwire::result<backend::parameter_status>{};
  const bool readable = piece.ends && status;
  if (readable) {
    const auto known = server_->reported->find(status->name);
    if (known == server_->reported->end() || known->second != status->value) {
      auto next = std::make_shared<parameter_map>(*server_->reported);
      (*next)[std::string(status->name)] = status->value;
      server_->reported = std::move(next);
    }
  }
  const expected* at = front();
  const bool held = at != nullptr && (at->whose != owner::client || at->hold_ready);
  reply_passes_ = !held && !dressing_;
  if (!reply_passes_) return;
  to_client.pass(piece.bytes);
  if (readable) told_ = server_->reported;
}

void pooled_traffic::on_copy_in() {
  copy_in_ = true;
  // The server swallows the Syncs that came before the end of the data (PostgreSQL docs, 55.2.6).
  const auto behind = expected_.begin() + static_cast<std::ptrdiff_t>(head_) + 1;
  const auto end = std::find_if(behind, expected_.end(), [](const expected& at) { return at.after_copy; });
  const auto swallowed = std::remove_if(behind, end, [](const expected& at) { return at.what == kind::sync; });
  if (swallowed == end) return;
  expected_.erase(swallowed, end);
  const bool synced = std::ranges::any_of(expected_, [](const expected& at) { return at.what == kind::sync; });
  unsynced_ = !synced && front()->what != kind::query;
}

void pooled_traffic::on_error(const frame_piece& piece, byte_run& to_client) {
  const auto fields = piece.ends ? pgwire::parse_error_fields(piece.body())
                                 : pgwire::result<pgwire::error_fields>(pgwire::error_fields{});
  const bool fatal = fields && pgwire::is_fatal(*fields);
  expected* const at = front();
  if (fatal || at == nullptr) {
    server_said_fatal_ = server_said_fatal_ || fatal;
    reply_passes_ = true;
    to_client.pass(piece.bytes);
    return;
  }
  reply_passes_ = false;
  switch (at->whose) {
    case owner::dress:
      undressed_ = true;
      undressed_why_ = {"ERROR", std::string(sqlstate::internal_error), "the session's state could not be set", {}, {}};
      if (fields) {
        undressed_why_ = {"ERROR", std::string(fields->code), std::string(fields->message), std::string(fields->detail),
                          std::string(fields->hint)};
      }
      return;
    case owner::inventory: ask_again_ = fields ? std::string(fields->code) : std::string(); return;
    case owner::restore: lost_track_ = true; return;
    case owner::helper:
      undo(*at, true);
      if (at->what != kind::sync) {
        pop_front();
        drop_skipped();
      }
      return;
    case owner::client: break;
  }
  if (at->refusal) {
    to_client.insert(pgwire::encode_error(*at->refusal));
  } else if (at->what == kind::bind && !at->text.empty() && piece.ends) {
    to_client.insert(in_clients_words(piece.body(), at->text, at->client_name));
  } else {
    reply_passes_ = true;
    to_client.pass(piece.bytes);
  }
  if (at->what == kind::query || at->what == kind::function_call || at->what == kind::sync) {
    query_failed_ = true;
    return;
  }
  // A plan went stale that the client knows nothing of: the next time it is made anew.
  if (at->what == kind::bind && !at->text.empty() && at->client_name.empty() && fields &&
      fields->code == sqlstate::feature_not_supported) {
    server_->statements.remove(at->text);
    server_->statements.unwanted(at->text);
  }
  pipeline_failed_ = true;
  undo(*at, true);
  pop_front();
  drop_skipped();
}

// After an error in the extended protocol: what the server skips is not answered, and did not happen.
void pooled_traffic::drop_skipped() {
  while (expected* at = front()) {
    if (at->what == kind::sync) return;
    undo(*at, false);
    pop_front();
  }
  skipping_ = true;
  unsynced_ = true;
  preparing_ = false;
  settle_barrier();
}

void pooled_traffic::undo(const expected& entry, bool failed) {
  if (!entry.server_name.empty() && server_ != nullptr) server_->statements.remove(entry.server_name);
  const bool about_unnamed = (entry.what == kind::parse || entry.what == kind::close) && entry.server_name.empty() &&
                             entry.client_name.empty();
  if (server_ != nullptr && (about_unnamed || entry.what == kind::query)) {
    server_->statements.unnamed.reset();
    server_->statements.unnamed_unknown = true;
  }
  switch (entry.undo) {
    case on_skip::nothing: break;
    case on_skip::forget_name: named_.erase(entry.client_name); break;
    case on_skip::recall_name: named_.emplace(entry.client_name, client_statement{entry.statement, true}); break;
    case on_skip::recall_unnamed:
      unnamed_ = {};
      if (!failed) unnamed_.statement = entry.statement;
      break;
  }
  if (entry.hold_ready) restoring_ = false;
}

void pooled_traffic::on_ready(const frame_piece& piece, byte_run& to_client, byte_run& to_server) {
  expected* const at = front();
  const bool fits =
      at != nullptr && (at->what == kind::query || at->what == kind::sync || at->what == kind::function_call);
  if (!fits) {
    lost_track_ = true;
    return;
  }
  reply_passes_ = false;
  status_ = static_cast<char>(piece.body().front());
  const owner whose = at->whose;
  const bool held = at->hold_ready;
  const bool failed = std::exchange(query_failed_, false);
  pop_front();
  switch (whose) {
    case owner::client:
      if (held && !failed) {
        hidden_query(routing::dress_query(restore_after_), owner::restore, to_server);
        restore_after_.clear();
        return;
      }
      if (held) {
        restoring_ = false;
        restore_after_.clear();
        tell_parameters(to_client);
      }
      to_client.pass(piece.bytes);
      break;
    case owner::restore:
      restoring_ = false;
      tell_parameters(to_client);
      to_client.pass(piece.bytes);
      break;
    case owner::dress:
      dressing_ = false;
      server_->worn = state_;
      tell_parameters(to_client);
      break;
    case owner::inventory: {
      server_->incoming.look_by(server_stream_rules());
      const auto found = asking_->result();
      if (!found) {
        lost_track_ = !ask_again(to_server);
        return;
      }
      pins_ = pins_.without(asking_->pins());
      asking_.reset();
      asked_ = 0;
      take(*found);
      break;
    }
    case owner::helper: break;
  }
  give_answers(to_client);
  settle(to_server);
  settle_barrier();
}

// An inventory that failed: a client's statement_timeout or a late cancel request may have hit it, or a setting that
// the session may not read, and therefore has not set.
bool pooled_traffic::ask_again(byte_run& to_server) {
  if (++asked_ > most_inventories) return false;
  inventory_request request = asking_->request();
  if (ask_again_ == sqlstate::insufficient_privilege) {
    std::erase_if(request.settings, [&](const std::string& name) {
      const auto known = tools_.settable.find(name);
      return known == tools_.settable.end() || known->second != setting_kind::anybodys;
    });
    request.kinds.clear();
  } else if (ask_again_ != sqlstate::query_canceled) {
    return false;
  }
  asking_.emplace(std::move(request));
  server_->incoming.look_by(every_row_rules());
  hidden_query(asking_->text(), owner::inventory, to_server);
  return true;
}

// After a ReadyForQuery: is the lease over, or is there something to ask first?
void pooled_traffic::settle(byte_run& to_server) {
  if (status_ != 'I') return;
  if (!nothing_expected() || unsynced_ || restoring_) return;
  portals_.clear();
  dirty_ = false;
  const bool failed = std::exchange(pipeline_failed_, false);
  if (std::exchange(discarded_, false) && failed) {
    put_on({}, to_server);  // what should have restored it was skipped or rolled back
  } else if (inventory_due()) {
    inventory_request request{
        std::exchange(touched_, {}), std::exchange(pins_due_, {}), {}, std::exchange(every_setting_due_, false)};
    std::ranges::copy_if(request.settings, std::back_inserter(request.kinds),
                         [&](const std::string& name) { return !tools_.settable.contains(name); });
    due_ = false;
    asking_.emplace(std::move(request));
    server_->incoming.look_by(every_row_rules());
    hidden_query(asking_->text(), owner::inventory, to_server);
  } else if (pins_.empty()) {
    over_ = true;
  }
}

// A SET that was refused leaves the server's own value, which is nothing to put on elsewhere.
bool pooled_traffic::may_set(const std::string& name) const {
  const auto known = tools_.settable.find(name);
  if (known == tools_.settable.end() || known->second == setting_kind::anybodys) return true;
  if (known->second == setting_kind::nobodys) return false;
  const auto superuser = server_->reported->find("is_superuser");
  return superuser != server_->reported->end() && superuser->second == "on";
}

void pooled_traffic::take(const inventory& found) {
  routing::session_state next = *state_;
  const routing::session_state tenants(terms_.start->tenant(), {});
  if (tools_.settable.size() > most_settings_known) tools_.settable.clear();
  for (const auto& [name, settable] : found.settable) tools_.settable.emplace(name, settable);
  for (const auto& [name, value] : found.settings) {
    if (!outlives_transaction(name) || name == "session_authorization" || !may_set(name)) continue;
    std::optional<std::string_view> own;
    if (value) own = *value;
    const std::string* given =
        name == "role" && !terms_.start->role().empty() ? &terms_.start->role() : tenants.find(name);
    if (value && given != nullptr && *given == *value) own.reset();
    if (name == "role" && value && *value == "none" && terms_.start->role().empty()) own.reset();
    next = next.with(name, own);
  }
  if (!(next == *state_)) {
    state_ = next == *terms_.start ? terms_.start : std::make_shared<const routing::session_state>(std::move(next));
  }
  server_->worn = state_;
  pins_ |= found.pins;
}

// What the server reports by now and the client has not heard.
void pooled_traffic::tell_parameters(byte_run& to_client) {
  if (told_ == server_->reported) return;
  for (const auto& [name, value] : *server_->reported) {
    const auto known = told_->find(name);
    if (!greeted_ || (known != told_->end() && known->second == value)) continue;
    to_client.insert(backend::parameter_status{name, value}.encode());
  }
  told_ = server_->reported;
}

// --- what is still to be answered ---

pooled_traffic::expected& pooled_traffic::push(expected what) {
  if (nothing_expected()) {
    expected_.clear();
    head_ = 0;
  }
  what.after_copy = std::exchange(copy_ended_, false);
  expected_.push_back(std::move(what));
  return expected_.back();
}

void pooled_traffic::pop_front() {
  ++head_;
  if (nothing_expected()) {
    expected_.clear();
    head_ = 0;
  }
}

void pooled_traffic::give_answers(byte_run& to_client) {
  while (expected* at = front()) {
    if (at->what != kind::answer) return;
    to_client.insert(at->text);
    pop_front();
  }
}

}  // namespace proxy
