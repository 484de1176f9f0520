// Of the client's stream: the messages of the extended protocol.
#include <string>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/bind_head.hpp"
#include "proxy/session/known_value.hpp"
#include "proxy/session/pooled_traffic.hpp"
#include "proxy/session/statement_names.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;

// An unnamed statement is worth a prepared one when it comes for the third time.
constexpr std::uint32_t promote_at = 3;

// In the server's own words, which drivers look for.
pgwire::error_report result_changed() {
  return {
      "ERROR", std::string(pgwire::sqlstate::feature_not_supported), "cached plan must not change result type", {}, {}};
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
    texts_are_in(client_encoding());
    if (changes_.is_guarded() && changes_.doubts(*verdict)) {
      refuse_at_server(session_guard::unreadable(), false, to_server);
      return;
    }
    have_under_own_names(statements_named_by(*verdict), false, to_server);
  }
  const auto statement = tools_.statements.share(what->query, what->parameter_types, verdict, encoding_of(what->query));
  if (!what->statement.empty()) {
    const std::string name(what->statement);
    if (named_.contains(name)) {  // an error, of which the server knows the words
      // What it stands for may not be valid any more, which is not to be told: an empty text always is.
      have_under_own_name(name, prepared_statement{}, false, to_server);
      push(kind::parse);
      to_server.pass(piece.bytes);
      return;
    }
    named_.add(name, {statement, true});
    expected entry{kind::parse};
    entry.undo = on_skip::forget_name;
    entry.client_name = name;
    parse_at_server(*what, statement, std::move(entry), to_server);
    return;
  }

  expected entry{kind::parse};
  entry.undo = on_skip::recall_unnamed;
  entry.statement = std::exchange(unnamed_, client_statement{statement, false}).statement;
  // Behind what is under way the server has to be asked in any case: see parse_at_server.
  const bool promotes = changes_.terms().prepare == routing::prepare_mode::repeated;
  const bool comes_often =
      promotes && !statement->verdict && !stands_alone(*statement) && tools_.seen.count(statement->hash) >= promote_at;
  if (comes_often && !answers_.owes_ready()) {
    unnamed_.at_server = true;
    parse_at_server(*what, statement, std::move(entry), to_server);
    return;
  }
  server_->statements.unnamed = statement;
  server_->statements.unnamed_unknown = false;
  push(std::move(entry));
  to_server.pass(piece.bytes);
}

// False: not yet.
bool pooled_traffic::on_bind(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto head = read_bind_head(piece.body());
  if (head && takes_reserved_name(head->statement, to_server)) return true;
  client_statement* const known = head ? known_as(head->statement) : nullptr;
  const client_statement what = known != nullptr ? *known : client_statement{};
  if (what.statement) shown_.note(what.statement->text, rounds_);
  readiness ready;
  if (what.statement && what.at_server) {
    ready = have_prepared(*known, to_server);
    if (ready.waits) return false;
    if (ready.changed && status_ != 'E') {
      refuse_at_server(result_changed(), false, to_server);
      return true;
    }
  }
  if (what.statement && what.statement->verdict) {
    const pgwire::verdict& verdict = *what.statement->verdict;
    auto values = frontend::bind::decode(piece.body());
    if (values) keep_texts(*values, *what.statement);
    auto refusal = note(verdict, values ? &*values : nullptr,
                        what.statement->encoding.empty() ? client_encoding() : what.statement->encoding);
    // Behind which Execute a restore belongs has to be known, and two names of portals may be one to the server.
    if (!refusal && changes_.is_guarded() && session_changes::resets(verdict) && !head->portal.empty()) {
      refusal = session_guard::unreadable();
    }
    const auto names = statements_named_by(verdict);
    if (!refusal) refusal = reserved_among(names);
    if (refusal) {
      refuse_at_server(std::move(*refusal), false, to_server);
      return true;
    }
    have_under_own_names(names, false, to_server);
    if (verdict.traits.has(pgwire::trait::reads_sequence)) have_own_sequences(false, to_server);
  }
  const portals::number number = head ? portals_.bind(head->portal, what.statement) : 0;
  if (what.statement && what.at_server) {
    to_server.insert(bind_with(*head, ready.name));
    expected& entry = push(kind::bind);
    entry.text = ready.name;
    entry.client_name = head->statement;
    entry.portal = number;
  } else {
    if (head && head->statement.empty()) have_unnamed(to_server);
    to_server.pass(piece.bytes);
    push(kind::bind).portal = number;
  }
  return true;
}

// False: not yet.
bool pooled_traffic::on_describe(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = true;
  const auto what = frontend::describe::decode(piece.body());
  if (what && what->target == frontend::target::statement) {
    if (takes_reserved_name(what->name, to_server)) return true;
    client_statement* const known = known_as(what->name);
    if (known != nullptr && known->at_server) {
      const readiness ready = have_prepared(*known, to_server);
      if (ready.waits) return false;
      if (ready.changed && status_ != 'E') {
        refuse_at_server(result_changed(), false, to_server);
        return true;
      }
      frontend::describe renamed = *what;
      renamed.name = ready.name;
      to_server.insert(renamed.encode());
      expected& entry = push(kind::describe);
      entry.text = ready.name;
      entry.client_name = what->name;
      return true;
    }
    if (what->name.empty()) have_unnamed(to_server);
  }
  to_server.pass(piece.bytes);
  push(kind::describe);
  return true;
}

void pooled_traffic::on_execute(const frame_piece& piece, byte_run& to_server) {
  unsynced_ = ran_ = true;
  const auto what = frontend::execute::decode(piece.body());
  const statement_ptr statement = what ? portals_.find(what->portal) : nullptr;
  expected entry{kind::execute};
  entry.may_copy = statement && statement->may_copy;
  if (!statement || !statement->verdict) {
    to_server.pass(piece.bytes);
    push(std::move(entry));
    return;
  }
  const pgwire::verdict& verdict = *statement->verdict;
  // What it names may be another statement by now than when it was bound.
  auto refusal = verdict.executes.empty() ? std::nullopt : note(verdict, nullptr, client_encoding());
  if (refusal) {
    refuse_at_server(std::move(*refusal), false, to_server);
    return;
  }
  have_under_own_names(statements_named_by(verdict), false, to_server);
  to_server.pass(piece.bytes);
  if (verdict.deallocates.size() == 1) entry.client_name = verdict.deallocates.front();
  if (verdict.traits.has(pgwire::trait::discard_all)) {
    // It commits by itself, and whatever comes after it in the pipeline must find the session's start put on for good.
    entry.dress_after = restoring_ = barrier_ = true;
    to_server.insert(frontend::flush{}.encode());
    push(std::move(entry));
    return;
  }
  push(std::move(entry));
  const auto steps = restores_after(verdict);
  if (!steps.empty()) run_hidden(routing::dress_query(steps), owner::restore, to_server);
}

void pooled_traffic::on_sync(const frame_piece& piece, byte_run& to_server) {
  to_server.pass(piece.bytes);
  sync_sent();
}

void pooled_traffic::sync_sent() {
  push(kind::sync);
  unsynced_ = flushed_ = skipping_ = false;
  close_segment();
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
    if (const client_statement* const known = named_.find(what->name)) {
      expected entry{kind::answer};
      entry.undo = on_skip::recall_name;
      entry.client_name = what->name;
      entry.statement = known->statement;
      entry.text = backend::close_complete{}.encode();
      drop_alone(*known);
      named_.erase(what->name);
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

// What the lodge calls statements by is not the client's to name: it could be a colleague's, or changed under one.
bool pooled_traffic::takes_reserved_name(std::string_view name, byte_run& to_server) {
  if (!is_reserved_name(name)) return false;
  refuse_at_server(reserved(name), false, to_server);
  return true;
}

}  // namespace proxy
