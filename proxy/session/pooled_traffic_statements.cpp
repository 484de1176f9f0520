#include "proxy/session/pooled_traffic.hpp"

#include <utility>

#include "protocol/backend_messages.hpp"
#include "routing/ascii.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;

// Only for as long as it takes to prepare one statement.
std::string set_encoding(std::string_view name) {
  return "SELECT pg_catalog.set_config('client_encoding'," + routing::text_expression(name) + ",true)";
}

}  // namespace

client_statement* pooled_traffic::known_as(std::string_view name) {
  client_statement* const known = name.empty() ? &unnamed_ : named_.find(name);
  return known != nullptr && known->statement ? known : nullptr;
}

statement_ptr pooled_traffic::statement_of(std::string_view name) const {
  if (name.empty()) return unnamed_.statement;
  const client_statement* const known = named_.find(name);
  return known != nullptr ? known->statement : nullptr;
}

// Prepares it under a name of ours, unless it is there already. In a failed transaction the server has to say so, and
// whether one has begun and failed is not known while anything is under way.
void pooled_traffic::parse_at_server(const frontend::parse& what, const statement_ptr& statement, expected&& entry,
                                     byte_run& to_server) {
  const bool may_have_failed = status_ == 'E' || answers_.owes_ready();
  const bool alone = stands_alone(*statement);
  const auto* there = may_have_failed || alone ? nullptr : server_->statements.find(statement, clean_key());
  if (there != nullptr && !there->went_stale) {
    if (client_statement* const named = named_.find(entry.client_name)) named->shape = there->shape;
    entry.what = kind::answer;
    entry.text = backend::parse_complete{}.encode();
    push(std::move(entry));
    return;
  }
  std::uint64_t key = clean_key();
  client_statement* const named = named_.find(entry.client_name);
  if (alone && named != nullptr) key = own_key(named->parsed_as = ++last_alone_);
  entry.server_name = server_->statements.add(statement, key);
  frontend::parse renamed = what;
  renamed.statement = entry.server_name;
  to_server.insert(renamed.encode());
  const std::string server_name = entry.server_name;
  std::string client_name = entry.client_name;
  push(std::move(entry));
  // What EXECUTE gives is another statement's result, and a server does not mind if that becomes another one.
  const bool executes = statement->verdict && !statement->verdict->executes.empty();
  if (!client_name.empty() && !executes) describe_at_server(server_name, std::move(client_name), to_server);
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
  if (client_statement* const named = named_.find(at.client_name)) named->shape = shape;
}

// Makes sure that it is prepared at the server, and that it is what the client prepared.
pooled_traffic::readiness pooled_traffic::have_prepared(client_statement& what, byte_run& to_server) {
  const bool alone = stands_alone(*what.statement);
  const bool has_own = alone && what.parsed_as != 0;
  const auto* there = server_->statements.find(what.statement, has_own ? own_key(what.parsed_as) : clean_key());
  const auto is_other = [&](const server_statements::prepared& one) {
    return what.shape && one.shape && *what.shape != *one.shape;
  };
  // What this transaction has changed may make it right.
  if (there != nullptr && !has_own && changes_.dirty() && is_other(*there)) there = nullptr;
  if (there != nullptr) {
    const bool changed = is_other(*there);
    const bool unknown = what.shape && !there->shape;
    return {there->name, unknown && preparing_, changed};
  }
  expected entry{kind::parse};
  entry.silent = true;
  std::uint64_t key = has_own ? own_key(what.parsed_as) : clean_key();
  if (alone && !has_own) key = own_key(what.parsed_as = ++last_alone_);
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
  expected entry{unnamed_.statement ? kind::parse : kind::close};
  entry.silent = true;
  push(std::move(entry));
  if (unnamed_.statement) {
    to_server.insert(frontend::parse{{}, unnamed_.statement->text, unnamed_.statement->parameter_types}.encode());
  } else {
    to_server.insert(frontend::close{frontend::target::statement, {}}.encode());
  }
}

// What sequences gave to whoever had this connection before is nobody else's business. If it fails, nothing of the
// client's has run, and the connection is no good.
void pooled_traffic::have_own_sequences(bool simple, byte_run& to_server) {
  if (client_before_ == session_ || client_before_ == 0 || ran_) return;
  if (simple) return dress("DISCARD SEQUENCES", reply::with_the_clients, to_server);
  run_hidden("DISCARD SEQUENCES", owner::dress, to_server);
}

// As it says of a text that it gives; nothing of what is the same in all.
std::string_view pooled_traffic::encoding_of(std::string_view text) const {
  return routing::is_ascii(text) ? std::string_view() : client_encoding();
}

// The state that statements are parsed in, as a number that differs where results could.
std::uint64_t pooled_traffic::clean_key() const {
  const std::uint64_t own = changes_.temporary_generation();
  const std::uint64_t everybodys =
      changes_.state()->reading_fingerprint() ^ (changes_.schema_generation() * 0xD6E8FEB86659FD93U);
  return own == 0 ? everybodys : everybodys ^ ((session_ << 32U ^ own) * 0x9FB21C651E98DF25U);
}

// Of one Parse, for nobody else to find.
std::uint64_t pooled_traffic::own_key(std::uint64_t number) const {
  return (session_ * 0x9E3779B97F4A7C15U) ^ (number * 0xC2B2AE3D27D4EB4FU) ^ 1U;
}

// Its client has closed it, and nobody else will ever ask for it.
void pooled_traffic::drop_alone(const client_statement& what) {
  if (what.parsed_as == 0) return;
  const auto* there = server_->statements.find(what.statement, own_key(what.parsed_as));
  if (there == nullptr) return;
  server_->statements.unwanted(there->name);
  server_->statements.remove(std::string(there->name));
}

// What a server makes of it as it parses depends on more than the session's state: on what this transaction has set or
// changed, or on the time.
bool pooled_traffic::stands_alone(const prepared_statement& statement) const {
  return changes_.dirty() || statement.tells_time;
}

}  // namespace proxy
