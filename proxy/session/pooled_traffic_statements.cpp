#include "proxy/session/pooled_traffic.hpp"

#include <utility>

#include "protocol/backend_messages.hpp"
#include "routing/ascii.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;

// An unnamed statement is worth a prepared one when it comes for the third time.
constexpr std::uint32_t promote_at = 3;

// Only for as long as it takes to prepare one statement.
std::string set_encoding(std::string_view name) {
  return "SELECT pg_catalog.set_config('client_encoding'," + routing::text_expression(name) + ",true)";
}

}  // namespace

void pooled_traffic::on_parse(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::parse::decode(piece.body());
  if (!what) {  // the server says what is wrong with it
    server_->statements.unnamed_unknown = true;
    push(kind::parse);
    to_server.pass(piece.bytes);
    return;
  }
  if (takes_reserved_name(what->statement, to_server)) return;
  const auto verdict = tools_.verdicts.of(what->query);
  if (verdict) {
    changes_.reads_in(client_encoding(), database_encoding(), told("standard_conforming_strings"));
    if (changes_.is_guarded() && changes_.doubts(*verdict)) {
      refuse_at_server(session_guard::unreadable(), false, to_server);
      return;
    }
    have_under_own_names(*verdict, to_server);
  }
  const auto statement = tools_.statements.share(what->query, what->parameter_types, verdict, encoding_of(what->query));
  if (!what->statement.empty()) {
    const std::string name(what->statement);
    if (named_.contains(name)) {  // an error, of which the server knows the words
      have_under_own_name(name, false, to_server);
      push(kind::parse);
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
  const bool promotes = changes_.terms().prepare == routing::prepare_mode::repeated;
  if (promotes && !statement->verdict && tools_.seen.count(statement->hash) >= promote_at) {
    unnamed_.at_server = true;
    parse_at_server(*what, statement, std::move(entry), to_server);
    return;
  }
  server_->statements.unnamed = statement;
  server_->statements.unnamed_unknown = false;
  push(std::move(entry));
  to_server.pass(piece.bytes);
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
    if (takes_reserved_name(what->name, to_server)) return;
    if (const auto found = named_.find(what->name); found != named_.end()) {
      expected entry{kind::answer};
      entry.undo = on_skip::recall_name;
      entry.client_name = found->first;
      entry.statement = found->second.statement;
      entry.text = backend::close_complete{}.encode();
      named_.erase(found);
      push(std::move(entry));
      return;
    }
  }
  to_server.pass(piece.bytes);
  expected& entry = push(kind::close);
  if (what && what->target == frontend::target::portal) {
    entry.client_name = what->name;
    entry.portal = portals_.close();
  }
}

pooled_traffic::client_statement pooled_traffic::known_as(std::string_view name) const {
  if (name.empty()) return unnamed_;
  const auto found = named_.find(name);
  return found != named_.end() ? found->second : client_statement{};
}

// Prepares it under a name of ours, unless it is there already. In a failed transaction the server has to say so, and
// whether it has failed may not be known yet.
void pooled_traffic::parse_at_server(const frontend::parse& what, const statement_ptr& statement, expected&& entry,
                                     byte_run& to_server) {
  const std::uint64_t key = parse_key();
  const bool may_have_failed = status_ == 'E' || (status_ == 'T' && answers_.owes_ready());
  const auto* there = may_have_failed ? nullptr : server_->statements.find(statement, key);
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
  expected& entry = push(kind::describe);
  entry.silent = true;
  entry.shape_wanted = true;
  entry.text = server_name;
  entry.client_name = std::move(client_name);
}

void pooled_traffic::on_shape(const frame_piece& piece) {
  const expected& at = *answers_.front();
  if (!piece.ends) return;
  const std::uint64_t shape = shape_of(piece.body());
  server_->statements.set_shape(at.text, shape);
  const auto named = named_.find(at.client_name);
  if (!at.client_name.empty() && named != named_.end()) named->second.shape = shape;
}

// Makes sure that it is prepared at the server, and that it is what the client prepared.
pooled_traffic::readiness pooled_traffic::have_prepared(const client_statement& what, byte_run& to_server) {
  const std::uint64_t key = parse_key();
  const auto* there = server_->statements.find(what.statement, key);
  const auto is_other = [&](const server_statements::prepared& one) {
    return what.shape && one.shape && *what.shape != *one.shape;
  };
  if (there == nullptr && changes_.dirty()) {
    there = server_->statements.find(what.statement, clean_key());
    if (there != nullptr && is_other(*there)) there = nullptr;  // what this transaction has changed may make it right
  }
  if (there != nullptr) {
    const bool changed = is_other(*there);
    const bool unknown = what.shape && !there->shape;
    return {there->name, unknown && preparing_, changed};
  }
  expected entry{kind::parse};
  entry.silent = true;
  entry.server_name = server_->statements.add(what.statement, key);
  const bool was_read_otherwise =
      status_ != 'E' && !what.statement->encoding.empty() && what.statement->encoding != client_encoding();
  if (was_read_otherwise) run_hidden(set_encoding(what.statement->encoding), owner::helper, to_server);
  to_server.insert(frontend::parse{entry.server_name, what.statement->text, what.statement->parameter_types}.encode());
  const std::string name = entry.server_name;
  push(std::move(entry));
  if (was_read_otherwise) run_hidden(set_encoding(client_encoding()), owner::helper, to_server);
  readiness result{name, what.shape.has_value(), false};
  if (result.waits) {
    describe_at_server(result.name, {}, to_server);
    to_server.insert(frontend::flush{}.encode());
    preparing_ = barrier_ = true;
  }
  return result;
}

// Makes the server's unnamed statement the client's, or none where the client has none.
void pooled_traffic::have_unnamed(byte_run& to_server) {
  server_statements& there = server_->statements;
  if (there.unnamed == unnamed_.statement && !there.unnamed_unknown) return;
  there.unnamed = unnamed_.statement;
  there.unnamed_unknown = false;
  push(unnamed_.statement ? kind::parse : kind::close).silent = true;
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
  const prepared_statement& statement = *found->second.statement;
  close_own(name, simple, to_server);  // where an error has kept it from being closed
  to_server.insert(frontend::parse{name, statement.text, statement.parameter_types}.encode());
  expected entry{kind::parse};
  entry.silent = true;
  entry.client_name = name;
  if (simple) entry.whose = owner::helper;
  push(std::move(entry));
  if (simple) {
    to_server.insert(frontend::sync{}.encode());
    push(kind::sync).whose = owner::helper;
  }
  own_names_.push_back(name);
}

// With the message at hand. Nobody may find them there later, not even this client, which may have closed the name by
// then, or given it to something else.
void pooled_traffic::forget_own_names(bool simple, byte_run& to_server) {
  if (own_names_.empty()) return;
  for (const std::string& name : std::exchange(own_names_, {})) close_own(name, simple, to_server);
  if (!simple) return;
  to_server.insert(frontend::sync{}.encode());
  push(kind::sync).whose = owner::helper;
}

void pooled_traffic::close_own(const std::string& name, bool simple, byte_run& to_server) {
  to_server.insert(frontend::close{frontend::target::statement, name}.encode());
  expected entry{kind::close};
  entry.silent = true;
  entry.client_name = name;
  if (simple) entry.whose = owner::helper;
  push(std::move(entry));
}

// What sequences gave to whoever had this connection before is nobody else's business. If it fails, nothing of the
// client's has run, and the connection is no good.
void pooled_traffic::have_own_sequences(bool simple, byte_run& to_server) {
  if (client_before_ == session_ || client_before_ == 0 || ran_) return;
  run_hidden("DISCARD SEQUENCES", owner::dress, to_server);
  if (!simple) return;
  hidden_query("", owner::dress, to_server);  // see put_on
  dressing_ = true;
  server_->worn = nullptr;
}

// As it says of a text that it gives; nothing of what is the same in all.
std::string_view pooled_traffic::encoding_of(std::string_view text) const {
  return routing::is_ascii(text) ? std::string_view() : client_encoding();
}

// The state that statements are parsed in, as a number that differs where results could.
std::uint64_t pooled_traffic::clean_key() const {
  return changes_.state()->reading_fingerprint() ^ (changes_.schema_generation() * 0xD6E8FEB86659FD93U);
}

std::uint64_t pooled_traffic::parse_key() const {
  return changes_.dirty() ? clean_key() ^ (session_ * 0x9E3779B97F4A7C15U) ^ 1U : clean_key();
}

void pooled_traffic::close_unwanted(byte_run& to_server) {
  if (!server_->statements.has_unwanted()) return;
  for (const std::string& name : server_->statements.take_unwanted()) {
    close_own(name, true, to_server);
  }
}

}  // namespace proxy
