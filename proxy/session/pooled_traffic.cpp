#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/session_reset.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace to_backend = pgwire::frontend_type;
namespace sqlstate = pgwire::sqlstate;

// No SQL, in any state of any transaction.
constexpr std::string_view sure_failure = "/* a statement that pglodge refused */ refused";

// Of what a client says at once, which is kept until its connection is dressed.
constexpr std::size_t most_said_again = std::size_t{64} * 1024;

pgwire::error_report cancelled_by_client() {
  return {"ERROR", std::string(sqlstate::query_canceled), "canceling statement due to user request", {}, {}};
}

// Who gives its statements a millisecond gives ours no more, and a busy server may miss that many times in a row.
constexpr std::uint8_t most_undressings = 200;

}  // namespace

std::size_t pooled_traffic::held_bytes() const {
  return client_.held_bytes() + (server_ == nullptr ? 0 : server_->incoming.held_bytes()) + named_.held_bytes() +
         changes_.held_bytes() + (attempt_ ? attempt_->said.capacity() : 0);
}

void pooled_traffic::begin_lease(server_session& server, byte_run& to_server) {
  server_ = &server;
  status_ = 'I';
  over_ = undressed_ = held_ = ran_ = cancelled_ = begins_again_ = false;
  client_before_ = server.last_client;
  const bool foreign = !server.worn || (server.used && server.tenant != changes_.terms().tenant) ||
                       (server.suspect && server.last_client != session_);
  const bool hampered = !server.worn || server.worn->hampers();
  const bool fresh = !server.used;
  server.tenant = changes_.terms().tenant;
  server.used = true;
  server.suspect = server.suspect && !foreign;
  server.last_client = session_;
  if (foreign) {
    server.worn = nullptr;
  } else if (server.worn == changes_.state() || *server.worn == *changes_.state()) {
    server.worn = changes_.state();
    return;
  }
  if (!fresh) attempt_.emplace();
  if (hampered) return undress(to_server);
  change_clothes(to_server);
}

// Of a message that is done with.
void pooled_traffic::note_attempt(const frame_piece& piece) {
  if (!attempt_->fits) return;
  attempt_->fits = piece.ends && attempt_->said.size() + piece.bytes.size() <= most_said_again;
  if (attempt_->fits) attempt_->said += pgwire::as_text(piece.bytes);
}

// With a ReadyForQuery of its own: it may run into the very timeout that it takes off. No RESET takes a snapshot, as
// all else does, so it waits for nobody.
void pooled_traffic::undress(byte_run& to_server) {
  ++undressings_;
  barrier_ = true;
  undressed_why_.reset();
  server_->worn = nullptr;
  hidden_query("RESET ALL", owner::undress, to_server);
}

void pooled_traffic::on_reset(byte_run& to_server) {
  if (cancelled_ && !undressed_why_) {  // too late for this, and in time for what was to follow
    auto why = cancelled_for_.take();
    undressed_why_ = why ? *std::move(why) : cancelled_by_client();
  }
  if (undressed_why_) {
    undressed_ = undressed_why_->code != sqlstate::query_canceled || undressings_ == most_undressings || cancelled_;
    if (!undressed_) undress(to_server);
    return;
  }
  undressings_ = 0;
  barrier_ = false;  // what dresses goes together with the client's message
  change_clothes(to_server);
}

void pooled_traffic::change_clothes(byte_run& to_server) {
  const bool foreign = !server_->worn;
  if (foreign) {
    server_->statements.clear();
    client_before_ = 0;
    run_hidden("DISCARD ALL", owner::dress, to_server);
  }
  put_on(foreign ? routing::session_state() : *server_->worn, foreign ? random_seed::fresh : random_seed::stays,
         client_.peek() != nullptr ? reply::with_the_clients : reply::at_once, to_server);
}

void pooled_traffic::put_on(const routing::session_state& worn, random_seed seed, reply when, byte_run& to_server) {
  const auto steps = difference(worn, *changes_.state());
  std::string query = steps.empty() ? std::string() : routing::dress_query(steps);
  if (seed == random_seed::fresh) query += (query.empty() ? "SELECT " : ",") + sets_seed(tools_.random_fraction());
  dress(query, when, to_server);
}

// What commits it is skipped with all the rest if it did not go well.
void pooled_traffic::dress(std::string_view sql, reply when, byte_run& to_server) {
  dressing_ = true;
  dress_asked_ = false;
  server_->worn = nullptr;
  if (when == reply::with_the_clients) run_hidden("BEGIN", owner::dress, to_server);
  if (!sql.empty()) run_hidden(sql, owner::dress, to_server);
  if (when == reply::with_the_clients) return run_hidden("COMMIT", owner::dress, to_server);
  hidden_query("", owner::dress, to_server);
}

void pooled_traffic::dressed() {
  dressing_ = false;
  attempt_.reset();
  server_->worn = changes_.state();
  untold_ = true;
  settle_barrier();
}

void pooled_traffic::end_lease() {
  server_ = nullptr;
  if (std::exchange(rounds_.open, false)) ++rounds_.ended;  // it came to nothing
  over_ = dressing_ = undressed_ = restoring_ = preparing_ = settling_ = barrier_ = rest_passes_ = copy_in_ =
      stray_sync_ = false;
  undressings_ = 0;
  copy_ends_ = 0;
  status_ = 'I';
  portals_.clear();
  own_names_.reset();
  behind_rest_.reset();
  naming_ = {};
  attempt_.reset();
  answers_.clear();
}

bool pooled_traffic::begin_again() {
  if (!attempt_ || !attempt_->fits || cancelled_) return false;
  undo_names();
  for (const expected& entry : answers_.waiting()) {
    if (entry.whose == owner::client) undo(entry, false);
  }
  changes_.nothing_happened();
  end_move(true);
  counted_ += attempt_->statements;
  client_.put_back(pgwire::as_bytes(attempt_->said));
  end_lease();
  skipping_ = unsynced_ = false;
  undressed_why_.reset();
  begins_again_ = true;
  return true;
}

void pooled_traffic::explain_undressed(byte_run& to_client) {
  bool answered = false;
  bool asked = false;
  undo_names();
  for (const expected& entry : answers_.waiting()) {
    if (entry.whose != owner::client) continue;
    asked = true;
    answered = answered || entry.ends_with_ready();
    undo(entry, false);
  }
  if (asked) {
    tell_error(*undressed_why_, to_client);
    if (answered) {
      to_client.insert(backend::ready_for_query{}.encode());
    } else {
      skipping_ = true;
    }
  }
  changes_.nothing_happened();
  end_move(true);
  end_lease();
  unsynced_ = asked && !answered;
  if (asked || client_.peek() == nullptr) return;
  byte_run to_nobody;  // what waited for the dressing comes to nothing, too
  refuse(*undressed_why_, to_nobody, to_client);
}

void pooled_traffic::refuse(pgwire::error_report why, byte_run& to_server, byte_run& to_client) {
  const frame_piece* piece = client_.peek();
  why.severity = "ERROR";
  begins_again_ = false;
  end_move(true);
  if (piece == nullptr) {
    tell_error(why, to_client);
    skipping_ = true;
  } else {
    count_statement(*piece);
    counted_ = 0;
    deny(std::move(why), *piece, to_server, to_client);
    client_.pop();
  }
}

void pooled_traffic::tell_error(const pgwire::error_report& what, byte_run& to_client) {
  ++tally_.errors;
  to_client.insert(pgwire::encode_error(what));
}

// The statement comes to nothing at the server, so that transactions and pipelines go on as they must after an error.
void pooled_traffic::refuse_at_server(pgwire::error_report why, bool simple, byte_run& to_server) {
  expected entry{simple ? kind::query : kind::parse};
  entry.refusal = std::make_shared<pgwire::error_report>(std::move(why));
  if (simple) {
    to_server.insert(frontend::query{sure_failure}.encode());
    close_unnamed(entry);
    unsynced_ = false;
  } else {
    server_->statements.unnamed.reset();
    server_->statements.unnamed_unknown = unsynced_;
    to_server.insert(frontend::parse{{}, sure_failure, {}}.encode());
  }
  push(std::move(entry));
  if (simple) close_segment();
}

bool pooled_traffic::idle() const {
  return answers_.empty() && status_ == 'I' && !unsynced_ && !copy_in_ && !dressing_ && client_.at_boundary();
}

std::optional<pgwire::error_report> pooled_traffic::note(const pgwire::verdict& verdict, const frontend::bind* values,
                                                         std::string_view encoding) {
  std::vector<const pgwire::verdict*> executed;
  for (const std::string& name : verdict.executes) {
    const auto runs = known_as(name).statement;
    if (runs && runs->verdict) executed.push_back(runs->verdict.get());
  }
  texts_are_in(encoding);
  auto refusal = changes_.note(verdict, values, executed);
  if (changes_.unseen()) server_->suspect = true;
  return refusal;
}

// What the transaction has left behind, row by row.
void pooled_traffic::ask(inventory_request what, int times, byte_run& to_server) {
  asking_.emplace(inventory_query(std::move(what)), times);
  server_->look_at_rows(true);
  hidden_query(asking_->query.text(), owner::inventory, to_server);
}

// A statement of the lodge's own in the client's pipeline, by way of the unnamed statement.
void pooled_traffic::run_hidden(std::string_view sql, owner whose, byte_run& to_server) {
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = true;
  to_server.insert(frontend::parse{{}, sql, {}}.encode() + frontend::bind{}.encode() + frontend::execute{}.encode());
  for (const kind what : {kind::parse, kind::bind, kind::execute}) {
    push(what).whose = whose;
  }
}

void pooled_traffic::hidden_query(std::string_view sql, owner whose, byte_run& to_server) {
  server_->statements.unnamed.reset();
  server_->statements.unnamed_unknown = false;
  to_server.insert(frontend::query{sql}.encode());
  push(kind::query).whose = whose;
}

void pooled_traffic::push(expected&& what) {
  what.after_copies = std::exchange(copy_ends_, 0);
  naming_.sent(what);
  answers_.push(std::move(what));
}

pooled_traffic::expected& pooled_traffic::push(kind what) {
  expected& pushed = answers_.push(what);
  pushed.after_copies = std::exchange(copy_ends_, 0);
  naming_.sent(pushed);
  return pushed;
}

void pooled_traffic::give_answers(byte_run& to_client) {
  while (expected* at = answers_.front()) {
    if (at->what != kind::answer) return;
    to_client.insert(at->text);
    answers_.pop();
  }
}

// After an error in the extended protocol: what the server skips is not answered, and did not happen.
void pooled_traffic::drop_skipped() {
  while (expected* at = answers_.front()) {
    if (at->what == kind::sync) return;
    undo(*at, false);
    naming_.answered(*at);
    answers_.pop();
  }
  skipping_ = true;
  unsynced_ = true;
  preparing_ = false;
  if (move_) move_->ends = false;  // its end is the client's Sync, which may stand behind the barrier
  settle_barrier();
}

// Of what comes to nothing up to the next Sync: the last word on a name was said upon those before.
void pooled_traffic::undo_names() {
  const auto waiting = answers_.waiting();
  const auto end = std::ranges::find_if(waiting, [](const expected& at) { return at.what == kind::sync; });
  for (auto at = end; at != waiting.begin();) {
    --at;
    if (at->undo == on_skip::forget_name) named_.erase(at->client_name);
    if (at->undo == on_skip::recall_name) named_.add(at->client_name, {at->statement, true});
  }
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
    case on_skip::nothing:
    case on_skip::forget_name:
    case on_skip::recall_name: break;  // see undo_names
    case on_skip::recall_unnamed: {
      const statement_ptr before = failed ? nullptr : entry.statement;
      // What the client has said of it since then stands, and comes to nothing in its turn perhaps.
      expected* const later = answers_.next_to_undo(entry);
      if (later != nullptr) {
        later->statement = before;
      } else {
        unnamed_ = {.statement = before};
      }
      break;
    }
  }
  if (entry.hold_ready || entry.dress_after) restoring_ = false;
  // Kept from being closed, it is to be closed next.
  const bool own = entry.what == kind::close && entry.silent && !entry.client_name.empty() && server_ != nullptr;
  if (own) server_->statements.unwanted(entry.client_name);
  if (entry.what == kind::bind && entry.portal != 0) portals_.undo(entry.portal);
}

}  // namespace proxy
