// The extended protocol: statements are read when they are prepared, and once more when their parameters are bound.
// All parameters are text, in which both formats are the same.
#include <utility>

#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/conversation.hpp"
#include "proxy/console/layouts.hpp"

namespace proxy::console {

namespace backend = pgwire::backend;
namespace frontend = pgwire::frontend;
namespace sqlstate = pgwire::sqlstate;

namespace {

pgwire::error_report no_statement(std::string_view name) {
  return refusal(sqlstate::invalid_statement_name, "prepared statement \"" + std::string(name) + "\" does not exist");
}
pgwire::error_report no_portal(std::string_view name) {
  return refusal(sqlstate::invalid_cursor_name, "portal \"" + std::string(name) + "\" does not exist");
}
pgwire::error_report too_many() {
  return refusal(sqlstate::program_limit_exceeded, "the console keeps no more prepared statements or portals");
}

}  // namespace

conversation::outcome conversation::extended(const pgwire::frame_piece& piece, std::string& out) {
  namespace type = pgwire::frontend_type;
  const auto with = [&]<class Message>(const pgwire::result<Message>& message, auto handle) -> outcome {
    if (message) return handle(*message);
    fault_ = message.error();
    return std::nullopt;
  };
  switch (piece.type) {
    case type::parse:
      return with(frontend::parse::decode(piece.body()), [&](const auto& read) { return on_parse(read, out); });
    case type::bind:
      return with(frontend::bind::decode(piece.body()), [&](const auto& read) { return on_bind(read, out); });
    case type::describe:
      return with(frontend::describe::decode(piece.body()), [&](const auto& read) { return on_describe(read, out); });
    case type::execute:
      return with(frontend::execute::decode(piece.body()), [&](const auto& read) { return on_execute(read, out); });
    case type::close:
      return with(frontend::close::decode(piece.body()), [&](const auto& read) {
        on_close(read, out);
        return outcome();
      });
    default: fault_ = pgwire::errc::misplaced_message; return std::nullopt;
  }
}

conversation::outcome conversation::on_parse(const frontend::parse& message, std::string& out) {
  auto read = parse(message.query, user_);
  if (!read) return std::move(read.error());
  if (read->commands.size() > 1)
    return refusal(sqlstate::syntax_error, "cannot insert multiple commands into a prepared statement");
  const bool named = !message.statement.empty();
  if (named && statements_.contains(message.statement)) {
    return refusal(sqlstate::duplicate_statement,
                   "prepared statement \"" + std::string(message.statement) + "\" already exists");
  }
  if (statements_.size() >= most_prepared && !statements_.contains(message.statement)) return too_many();
  statement made;
  made.text = message.query;
  made.types = message.parameter_types;
  made.types.resize(std::max(made.types.size(), read->parameters));
  for (std::uint32_t& type : made.types) type = static_cast<std::uint32_t>(column_type::text);
  if (!read->commands.empty()) made.what = std::move(read->commands.front());
  statements_.insert_or_assign(std::string(message.statement), std::move(made));
  out += backend::parse_complete{}.encode();
  return std::nullopt;
}

conversation::outcome conversation::on_bind(const frontend::bind& message, std::string& out) {
  const auto found = statements_.find(message.statement);
  if (found == statements_.end()) return no_statement(message.statement);
  const statement& bound = found->second;
  if (message.parameters.size() != bound.types.size()) {
    return refusal(sqlstate::protocol_violation, "bind message supplies " + std::to_string(message.parameters.size()) +
                                                     " parameters, but the statement needs " +
                                                     std::to_string(bound.types.size()));
  }
  if (!message.portal.empty() && portals_.contains(message.portal))
    return refusal(sqlstate::duplicate_cursor, "portal \"" + std::string(message.portal) + "\" already exists");
  if (portals_.size() >= most_prepared && !portals_.contains(message.portal)) return too_many();
  portal made;
  made.as = message.result_formats;
  if (bound.what) {
    const parameter_values values = message.parameters;
    auto read = parse(bound.text, user_, &values);
    if (!read) return std::move(read.error());
    made.what = std::move(read->commands.front());
  }
  portals_.insert_or_assign(std::string(message.portal), std::move(made));
  out += backend::bind_complete{}.encode();
  return std::nullopt;
}

conversation::outcome conversation::on_describe(const frontend::describe& message, std::string& out) {
  const command* what = nullptr;
  formats as;
  if (message.target == frontend::target::statement) {
    const auto found = statements_.find(message.name);
    if (found == statements_.end()) return no_statement(message.name);
    out += backend::parameter_description{found->second.types}.encode();
    if (found->second.what) what = &*found->second.what;
  } else {
    const auto found = portals_.find(message.name);
    if (found == portals_.end()) return no_portal(message.name);
    as = found->second.as;
    if (found->second.what) what = &*found->second.what;
  }
  const columns* heads = what != nullptr ? result_of(*what) : nullptr;
  if (heads == nullptr) {
    out += backend::no_data{}.encode();
  } else {
    describe(*heads, as, out);
  }
  return std::nullopt;
}

conversation::outcome conversation::on_execute(const frontend::execute& message, std::string& out) {
  const auto found = portals_.find(message.portal);
  if (found == portals_.end()) return no_portal(message.portal);
  portal& from = found->second;
  if (!from.what) {
    out += backend::empty_query_response{}.encode();
    return std::nullopt;
  }
  if (from.done) {
    return refusal(sqlstate::not_in_prerequisite_state,
                   "portal \"" + std::string(message.portal) + "\" cannot be run anymore");
  }
  run next{*from.what, from.as, std::string(message.portal), true};
  next.most_rows = message.most_rows > 0 ? static_cast<std::uint64_t>(message.most_rows) : 0;
  if (!from.rest) {
    begin(std::move(next));
    return std::nullopt;
  }
  next.rows = std::move(from.rest);
  from.rest.reset();
  running_ = std::move(next);
  return std::nullopt;
}

void conversation::on_close(const frontend::close& message, std::string& out) {
  if (message.target == frontend::target::statement) {
    if (const auto found = statements_.find(message.name); found != statements_.end()) statements_.erase(found);
  } else if (const auto found = portals_.find(message.name); found != portals_.end()) {
    portals_.erase(found);
  }
  out += backend::close_complete{}.encode();
}

}  // namespace proxy::console
