// Of the client's stream: what it says of its tenant.
#include <algorithm>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "proxy/session/known_value.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace to_backend = pgwire::frontend_type;

}  // namespace

pooled_traffic::hearing pooled_traffic::hear(const frame_piece& piece, byte_run& to_server, byte_run& to_client) {
  const bool speaks = piece.type == to_backend::query || piece.type == to_backend::bind ||
                      piece.type == to_backend::parse || piece.type == to_backend::function_call;
  if (move_ && move_->sent && speaks) {  // what names a tenant stands alone in its pipeline
    deny(tenant_speech::not_alone(), piece, to_server, to_client);
    return hearing::denied;
  }
  switch (piece.type) {
    case to_backend::query: {
      const auto verdict = tools_.verdicts.of(frontend::query::text_in(piece.body()));
      return hear_statement(verdict.get(), nullptr, piece, to_server, to_client);
    }
    case to_backend::bind: {
      auto values = frontend::bind::decode(piece.body());
      const auto statement = values ? statement_of(values->statement) : nullptr;
      if (statement) keep_texts(*values, *statement);
      const auto* verdict = statement ? statement->verdict.get() : nullptr;
      return hear_statement(verdict, values ? &*values : nullptr, piece, to_server, to_client);
    }
    case to_backend::parse: return hear_parse(piece, to_server, to_client);
    case to_backend::function_call:
      if (speech_.is_waiting()) return hear_statement(nullptr, nullptr, piece, to_server, to_client);
      if (speech_.is_fixed() || calls_harmless(piece)) return hearing::nothing_new;
      deny(tenant_speech::unreadable(), piece, to_server, to_client);
      return hearing::denied;
    case to_backend::describe: {
      // It would tell about a place that is not the session's.
      const auto what = frontend::describe::decode(piece.body());
      if (!speech_.is_waiting() || (what && what->target == frontend::target::portal)) return hearing::nothing_new;
      return hear_statement(nullptr, nullptr, piece, to_server, to_client);
    }
    default: return hearing::nothing_new;
  }
}

pooled_traffic::hearing pooled_traffic::hear_statement(const pgwire::verdict* verdict, const frontend::bind* values,
                                                       const frame_piece& piece, byte_run& to_server,
                                                       byte_run& to_client) {
  const bool first = status_ == 'I' && !(unsynced_ && server_ != nullptr);
  auto heard = speech_.hear(verdict, values, first);
  texts_are_in(client_encoding());
  if (heard && verdict != nullptr && !speech_.is_fixed() && (runs_what_names(*verdict) || changes_.doubts(*verdict))) {
    heard = std::unexpected(tenant_speech::unreadable());
  }
  if (!heard) {
    deny(std::move(heard.error()), piece, to_server, to_client);
    return hearing::denied;
  }
  if (!*heard) return hearing::nothing_new;
  if (server_ != nullptr && !answers_.empty()) return hearing::too_early;
  move_ = std::make_unique<tenant_change>(std::move(**heard), speech_.confirmed_by({}));
  return move_->what.now == speech_.current() ? hearing::nothing_new : hearing::elsewhere;
}

// EXECUTE of what was prepared by the protocol.
bool pooled_traffic::runs_what_names(const pgwire::verdict& verdict) const {
  return std::ranges::any_of(verdict.executes, [&](const std::string& name) {
    const auto runs = statement_of(name);
    return runs && runs->verdict && speech_.concerns(*runs->verdict);
  });
}

// To prepare what may name a tenant needs no server: which one it is for is known only when it runs.
pooled_traffic::hearing pooled_traffic::hear_parse(const frame_piece& piece, byte_run& to_server, byte_run& to_client) {
  const auto what = frontend::parse::decode(piece.body());
  if (!what && !speech_.is_waiting()) return hearing::nothing_new;
  if (!what) return hear_statement(nullptr, nullptr, piece, to_server, to_client);
  auto verdict = tools_.verdicts.of(what->query);
  const bool concerns = verdict && speech_.concerns(*verdict);
  const std::string name(what->statement);
  const bool known = !name.empty() && named_.contains(name);
  const bool busy = server_ != nullptr && (unsynced_ || status_ != 'I' || !answers_.empty());
  if (!concerns || known || busy) {
    // What only sets may be prepared anywhere, and nothing else where the session has no place.
    const bool only_sets =
        verdict && verdict->traits.has(pgwire::trait::only_sets) && !verdict->traits.has(pgwire::trait::ambiguous);
    if (!speech_.is_waiting() || only_sets) return hearing::nothing_new;
    return hear_statement(nullptr, nullptr, piece, to_server, to_client);
  }
  client_statement made{
      tools_.statements.share(what->query, what->parameter_types, std::move(verdict), encoding_of(what->query)), true};
  if (name.empty()) {
    unnamed_ = std::move(made);
  } else {
    named_.add(name, made);
  }
  to_client.insert(backend::parse_complete{}.encode());
  return hearing::denied;
}

void pooled_traffic::deny(pgwire::error_report why, const frame_piece& piece, byte_run& to_server,
                          byte_run& to_client) {
  const bool simple = piece.type == to_backend::query || piece.type == to_backend::function_call;
  if (server_ != nullptr) return refuse_at_server(std::move(why), simple, to_server);
  tell_error(why, to_client);
  if (simple) {
    to_client.insert(backend::ready_for_query{}.encode());
  } else {
    skipping_ = true;
  }
}

void pooled_traffic::go_along(session_terms_ptr terms) {
  move_->stood_for = changes_.state();
  move_->from_start = changes_.terms().start;
  changes_.nothing_happened();
  set_terms(std::move(terms));
  speech_.become(move_->what.now, false);
}

void pooled_traffic::end_move(bool failed) {
  const auto ended = std::exchange(move_, nullptr);
  if (!ended) return;
  const bool done = !failed && ended->confirmed;
  const routing::tenant_id& next = done ? ended->what.then : ended->what.back;
  if (next == speech_.current()) {
    speech_.become(next, done);
  } else {
    due_ = due_tenant{next, done, ended->stood_for, ended->from_start};
  }
}

void pooled_traffic::become_due(session_terms_ptr terms) {
  const due_tenant now = *due_.take();
  changes_.nothing_happened();
  set_terms(std::move(terms));
  // What the client had set before a change that came to nothing is still set.
  const bool as_before = !now.done && now.from_start && *now.from_start == *changes_.terms().start;
  if (as_before) changes_.put_back(now.stood_for);
  speech_.become(now.tenant, now.done);
  settle_barrier();
}

}  // namespace proxy
