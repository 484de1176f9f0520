// Of the client's stream: what it says of its tenant.
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace to_backend = pgwire::frontend_type;

}  // namespace

pooled_traffic::hearing pooled_traffic::hear(const frame_piece& piece, byte_run& to_server, byte_run& to_client) {
  switch (piece.type) {
    case to_backend::query: {
      const auto verdict = tools_.verdicts.of(frontend::query::text_in(piece.body()));
      return hear_statement(verdict.get(), nullptr, piece, to_server, to_client);
    }
    case to_backend::bind: {
      const auto values = frontend::bind::decode(piece.body());
      const auto statement = values ? known_as(values->statement).statement : nullptr;
      const auto* verdict = statement ? statement->verdict.get() : nullptr;
      return hear_statement(verdict, values ? &*values : nullptr, piece, to_server, to_client);
    }
    case to_backend::parse: return hear_parse(piece, to_server, to_client);
    case to_backend::function_call: return hear_statement(nullptr, nullptr, piece, to_server, to_client);
    default: return hearing::nothing_new;
  }
}

pooled_traffic::hearing pooled_traffic::hear_statement(const pgwire::verdict* verdict, const frontend::bind* values,
                                                       const frame_piece& piece, byte_run& to_server,
                                                       byte_run& to_client) {
  const bool first = status_ == 'I' && !(unsynced_ && server_ != nullptr);
  auto heard = speech_.hear(verdict, values, first);
  if (!heard) {
    deny(std::move(heard.error()), piece, to_server, to_client);
    return hearing::denied;
  }
  if (!*heard) return hearing::nothing_new;
  if (server_ != nullptr && !answers_.empty()) return hearing::too_early;
  move_ = std::move(**heard);
  return move_->now == speech_.current() ? hearing::nothing_new : hearing::elsewhere;
}

// To prepare what may name a tenant needs no server: which one it is for is known only when it runs.
pooled_traffic::hearing pooled_traffic::hear_parse(const frame_piece& piece, byte_run& to_server, byte_run& to_client) {
  const auto what = frontend::parse::decode(piece.body());
  if (!what || server_ != nullptr) return hearing::nothing_new;
  auto verdict = tools_.verdicts.of(what->query);
  const bool concerns = verdict && speech_.concerns(*verdict);
  const std::string name(what->statement);
  if (!concerns || (!name.empty() && named_.contains(name))) {
    return speech_.is_waiting() ? hear_statement(verdict.get(), nullptr, piece, to_server, to_client)
                                : hearing::nothing_new;
  }
  client_statement made{tools_.statements.share(what->query, what->parameter_types, std::move(verdict)), true};
  if (name.empty()) {
    unnamed_ = std::move(made);
  } else {
    named_.emplace(name, std::move(made));
  }
  to_client.insert(backend::parse_complete{}.encode());
  return hearing::denied;
}

void pooled_traffic::deny(pgwire::error_report why, const frame_piece& piece, byte_run& to_server,
                          byte_run& to_client) {
  const bool simple = piece.type == to_backend::query || piece.type == to_backend::function_call;
  if (server_ != nullptr) return refuse_at_server(std::move(why), simple, to_server);
  to_client.insert(pgwire::encode_error(why));
  if (simple) {
    to_client.insert(backend::ready_for_query{}.encode());
  } else {
    skipping_ = true;
  }
}

void pooled_traffic::go_along(session_terms terms) {
  set_terms(std::move(terms));
  speech_.become(move_->now, false);
}

void pooled_traffic::end_move(bool failed) {
  if (!move_) return;
  const routing::tenant_id& next = failed ? move_->back : move_->then;
  if (next == speech_.current()) {
    speech_.become(next, !failed);
  } else {
    due_ = due_tenant{next, !failed};
  }
  move_.reset();
}

void pooled_traffic::become_due(session_terms terms) {
  set_terms(std::move(terms));
  speech_.become(due_->tenant, due_->done);
  due_.reset();
}

}  // namespace proxy
