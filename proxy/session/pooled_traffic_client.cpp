#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/bind_head.hpp"
#include "proxy/session/statement_names.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
using pgwire::frame_rules;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace to_backend = pgwire::frontend_type;

// A client's few bytes can become many to the server, where a statement's text has to be said again. So much may be
// ready to be sent before more is dealt with.
constexpr std::size_t most_to_server = std::size_t{2} << 20;

// What is remembered of an answer takes far more memory than the message that asks for it.
constexpr std::size_t most_unanswered = 8192;

// A statement is judged whole, so it is held whole: as long as the server itself would take it.
constexpr std::size_t most_statement = std::size_t{1} << 30;

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

pgwire::error_report too_many_resets() {
  return {"ERROR", std::string(pgwire::sqlstate::program_limit_exceeded),
          "too many statements of this text reset settings",
          "Behind each, what the session starts with is put on again.", "Send them in several texts."};
}

// Which statements it means may depend on whether the server has done what it was told before.
bool speaks_of_names(const frame_piece& piece) {
  return piece.type == to_backend::parse || piece.type == to_backend::bind || piece.type == to_backend::describe ||
         piece.type == to_backend::close || piece.type == to_backend::query;
}

// It passes without being remembered, or takes the server out of where it waits.
bool is_copy(const frame_piece& piece) {
  return piece.type == 0 || piece.type == to_backend::copy_done || piece.type == to_backend::copy_fail;
}

bool takes_unnamed(const frame_piece& piece) {
  if (piece.type == to_backend::bind) {
    const auto head = read_bind_head(piece.body());
    return head && head->statement.empty();
  }
  if (piece.type != to_backend::describe) return false;
  const auto what = frontend::describe::decode(piece.body());
  return what && what->target == frontend::target::statement && what->name.empty();
}

}  // namespace

pooled_traffic::pooled_traffic(std::uint64_t session, statement_tools& tools)
    : session_(session),
      tools_(tools),
      changes_(tools),
      told_(std::make_shared<const parameter_map>()),
      client_(client_rules(), most_statement) {}

pooled_traffic::step pooled_traffic::advance(byte_run& to_server, byte_run& to_client) {
  const step next = consider_all(to_server, to_client);
  // Nothing else makes the server say how the dressing went, or what has become of what may copy.
  bool* const asked = dressing_.under_way ? &dressing_.asked : answers_.may_copy() ? &copy_.asked : nullptr;
  if (next == step::waits && asked != nullptr && !answers_.owes_ready() && !std::exchange(*asked, true)) {
    flush_server(to_server);
  }
  // What is put in goes out together with what the server says next, if it is to say anything.
  if (answers_.only_put_in()) give_answers(to_client);
  return next;
}

pooled_traffic::step pooled_traffic::consider_all(byte_run& to_server, byte_run& to_client) {
  for (;;) {
    const frame_piece* piece = client_.peek();
    if (piece == nullptr) {
      begins_again_ = false;  // it needed no server after all
      if (!client_.fault()) return step::starved;
      fault_ = traffic_fault{*client_.fault(), client_.faulty_type()};
      return step::fault;
    }
    if (piece->begins && !is_copy(*piece) && answers_.waiting().size() >= most_unanswered) {
      flush_server(to_server);  // a server keeps answers back until it has many, or is told
      return step::waits;
    }
    if (const auto stop = consider(*piece, to_server, to_client)) {
      if (*stop == step::terminated || *stop == step::over) client_.pop();
      return *stop;
    }
    count_statement(*piece);
    if (first_words_) first_words_->note(*piece);
    client_.pop();
    if (to_server.bytes().size() >= most_to_server) return step::full;
  }
}

void pooled_traffic::count_statement(const frame_piece& piece) {
  const bool runs =
      piece.type == to_backend::query || piece.type == to_backend::execute || piece.type == to_backend::function_call;
  if (!piece.begins || !runs || skipping_) return;
  rounds_.open = server_ != nullptr;
  if (first_words_) ++first_words_->statements;
  if (counted_already_ > 0) {
    --counted_already_;
    return;
  }
  ++tally_.statements;
  ++steps_;
}

std::optional<pooled_traffic::step> pooled_traffic::consider(const frame_piece& piece, byte_run& to_server,
                                                             byte_run& to_client) {
  if (!piece.begins) {
    if (rest_passes_) to_server.pass(piece.bytes);
    if (piece.ends && behind_rest_) to_server.insert(*behind_rest_.take());
    if (!piece.ends || !std::exchange(rest_passes_, false) || !over_) return std::nullopt;
    return step::over;
  }
  rest_passes_ = false;
  switch (piece.type) {
    case 0:
    case to_backend::copy_done:
    case to_backend::copy_fail:
      if (!copy_.is_open && answers_.may_copy()) return step::waits;
      if (!copy_.is_open) return std::nullopt;  // a server passes over what it has not asked for
      rest_passes_ = !piece.ends;
      to_server.pass(piece.bytes);
      copy_.has_data = true;
      copy_.held_syncs = 0;
      if (piece.type != 0) {
        copy_.is_open = false;
        answers_.copy_ended();
      }
      return std::nullopt;
    case to_backend::terminate:
      // What was asked before is answered before, unless the server waits for COPY data, which will not come.
      if (copy_.is_open) return step::terminated;
      return barrier_ || (server_ != nullptr && !answered() && !server_waits()) ? step::waits : step::terminated;
    case to_backend::flush:
      if (server_ != nullptr && !answers_.empty()) flush_server(to_server);
      return std::nullopt;
    case to_backend::sync:
      if (copy_.is_open && !copy_.has_data) {
        ++copy_.held_syncs;
        return std::nullopt;
      }
      if (copy_.is_open) {  // the server takes no notice of it
        to_server.pass(piece.bytes);
        copy_.stray_sync = true;
        return std::nullopt;
      }
      if (server_ != nullptr) break;
      skipping_ = false;
      unsynced_ = false;
      to_client.insert(backend::ready_for_query{}.encode());
      return std::nullopt;
    default:
      if (skipping_) return std::nullopt;
  }
  if (copy_.goes_on) {
    fault_ = traffic_fault{pgwire::errc::misplaced_message, piece.type};
    return step::fault;
  }
  if (copy_.is_open) {
    if (!std::exchange(copy_.probed, true)) to_server.insert(frontend::copy_fail{copying::misplaced}.encode());
    return step::waits;
  }
  const bool in_doubt = (naming_.names() && speaks_of_names(piece)) || (naming_.unnamed() && takes_unnamed(piece));
  if (barrier_ || in_doubt || answers_.may_copy()) return step::waits;
  if (speech_.listens()) {
    switch (hear(piece, to_server, to_client)) {
      case hearing::nothing_new: break;
      case hearing::denied: return std::nullopt;
      case hearing::too_early: return step::waits;
      case hearing::elsewhere: return step::names_tenant;
    }
  }
  if (server_ == nullptr) return step::needs_lease;
  if (makes_room_ && !unsynced_ && !answers_.empty()) return step::waits;
  over_ = false;
  const bool moves = move_ && !move_->sent && (piece.type == to_backend::query || piece.type == to_backend::bind);
  if (moves) move_->sent = true;
  // In a pipeline an error at the Close would have a Query skipped, and after one both.
  if (!skipping_ && !(unsynced_ && piece.type == to_backend::query)) close_unwanted(to_server);
  bool done = true;
  switch (piece.type) {
    case to_backend::query: done = on_query(piece, to_server); break;
    case to_backend::parse: on_parse(piece, to_server); break;
    case to_backend::bind: done = on_bind(piece, to_server); break;
    case to_backend::describe: done = on_describe(piece, to_server); break;
    case to_backend::execute: on_execute(piece, to_server); break;
    case to_backend::close: on_close(piece, to_server); break;
    case to_backend::sync: on_sync(piece, to_server); break;
    default: on_function_call(piece, to_server);
  }
  forget_own_names(false, to_server);
  if (done) return std::nullopt;
  if (moves) move_->sent = false;
  return step::waits;
}

// False: not yet.
bool pooled_traffic::on_query(const frame_piece& piece, byte_run& to_server) {
  const auto text = frontend::query::text_in(piece.body());
  const auto verdict = tools_.verdicts.of(text);
  const std::vector<std::string> names = verdict ? statements_named_by(*verdict) : std::vector<std::string>();
  // What helps has a Sync of its own, behind which the client's statement would run.
  if (!names.empty() && dressing_.under_way) {
    barrier_ = held_ = true;
    return false;
  }
  held_ = false;
  shown_.note(text, rounds_);
  expected entry{kind::query};
  entry.may_copy = pgwire::may_ask_for_data(text);
  entry.behind_flush = behind_flush();
  std::optional<std::string> rewritten;
  if (verdict) {
    auto refusal = note(*verdict, nullptr, client_encoding());
    if (!refusal) refusal = reserved_among(names);
    if (refusal) {
      refuse_at_server(std::move(*refusal), true, to_server);
      return true;
    }
    if (verdict->traits.has(pgwire::trait::reads_sequence)) have_own_sequences(true, to_server);
    // A pipeline that has no Sync yet would be ended by that of the help: then the server has to do without.
    if (!unsynced_) have_under_own_names(names, true, to_server);
    if (verdict->deallocates.size() == 1) entry.client_name = verdict->deallocates.front();
    if (session_changes::resets(*verdict) && verdict->statements.size() > 1 &&
        !verdict->traits.has(pgwire::trait::ambiguous)) {
      rewritten = changes_.with_restores(text, *verdict, entry.ours);
      if (!rewritten) {
        refuse_at_server(too_many_resets(), true, to_server);
        return true;
      }
    } else {
      auto steps = restores_after(*verdict);
      entry.hold_ready = restoring_ = !steps.empty();
      if (restoring_) restore_after_.emplace(std::move(steps));
    }
  }
  forward_query(std::move(entry));
  if (rewritten) {
    to_server.insert(frontend::query{*rewritten}.encode());
  } else {
    to_server.pass(piece.bytes);
  }
  forget_own_names(true, to_server);
  return true;
}

// Also where it runs by EXECUTE what the client has prepared by the protocol.
std::vector<routing::dress_step> pooled_traffic::restores_after(const pgwire::verdict& verdict) const {
  auto steps = changes_.restores(verdict);
  for (const std::string& name : verdict.executes) {
    const auto runs = statement_of(name);
    if (!runs || !runs->verdict) continue;
    const auto more = changes_.restores(*runs->verdict);
    steps.insert(steps.end(), more.begin(), more.end());
  }
  return steps;
}

// A simple query closes the unnamed statement, whatever comes to nothing before it.
void pooled_traffic::close_unnamed(expected& by) {
  if ((unsynced_ && unnamed_.statement) || naming_.unnamed()) {
    by.undo = on_skip::recall_unnamed;
    by.statement = unnamed_.statement;
  }
  unnamed_ = {};
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = unsynced_;
}

void pooled_traffic::forward_query(expected&& entry) {
  close_unnamed(entry);
  push(std::move(entry));
  unsynced_ = flushed_ = false;
  ran_ = true;
  close_segment();
}

// Whether the function leaves nothing in the session.
bool pooled_traffic::calls_harmless(const frame_piece& piece) {
  const auto call = frontend::function_call::decode(piece.body());
  return call && leaves_nothing(call->function);
}

void pooled_traffic::on_function_call(const frame_piece& piece, byte_run& to_server) {
  if (!calls_harmless(piece)) {
    pgwire::verdict unseen;
    unseen.traits.add(pgwire::trait::unseen);
    if (auto refusal = note(unseen, nullptr, client_encoding())) {
      refuse_at_server(std::move(*refusal), true, to_server);
      return;
    }
  }
  const bool late = behind_flush();
  push(kind::function_call).behind_flush = late;
  to_server.pass(piece.bytes);
  unsynced_ = flushed_ = false;
  ran_ = true;
  close_segment();
}

bool pooled_traffic::wants_last_connection() {
  const frame_piece* piece = client_.peek();
  if (piece == nullptr || !piece->begins || !piece->ends) return false;
  if (piece->type == to_backend::query) {
    const auto text = frontend::query::text_in(piece->body());
    if (text.find("val") == std::string_view::npos && text.find("VAL") == std::string_view::npos) return false;
    const auto verdict = tools_.verdicts.of(text);
    return verdict && verdict->traits.has(pgwire::trait::reads_sequence);
  }
  if (piece->type != to_backend::bind) return false;
  const auto head = read_bind_head(piece->body());
  if (!head) return false;
  const statement_ptr statement = statement_of(head->statement);
  return statement && statement->verdict && statement->verdict->traits.has(pgwire::trait::reads_sequence);
}

}  // namespace proxy
