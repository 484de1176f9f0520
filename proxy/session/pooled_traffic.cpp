#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
namespace to_backend = pgwire::frontend_type;
namespace sqlstate = pgwire::sqlstate;

// No SQL, in any state of any transaction.
constexpr std::string_view sure_failure = "/* a statement that pglodge refused */ refused";

}  // namespace

std::size_t pooled_traffic::held_bytes() const {
  return client_.held_bytes() + (server_ == nullptr ? 0 : server_->incoming.held_bytes()) + named_.held_bytes() +
         changes_.held_bytes() + (first_words_ ? first_words_->said.capacity() : 0);
}

void pooled_traffic::end_lease() {
  server_ = nullptr;
  if (std::exchange(rounds_.open, false)) ++rounds_.ended;  // it came to nothing
  over_ = restoring_ = preparing_ = settling_ = barrier_ = rest_passes_ = flushed_ = false;
  dressing_ = {};
  copy_ = {};
  counted_already_ = 0;
  cancelled_for_.reset();
  status_ = 'I';
  portals_.clear();
  own_names_.reset();
  behind_rest_.reset();
  help_failed_.reset();
  naming_ = {};
  first_words_.reset();
  answers_.clear();
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
    counted_already_ = 0;
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
    unsynced_ = flushed_ = false;
  } else {
    server_->statements.unnamed.reset();
    server_->statements.unnamed_unknown = unsynced_;
    to_server.insert(frontend::parse{{}, sure_failure, {}}.encode());
  }
  push(std::move(entry));
  if (simple) close_segment();
}

bool pooled_traffic::idle() const {
  return answers_.empty() && status_ == 'I' && !unsynced_ && !copy_.is_open && !dressing_.under_way &&
         client_.at_boundary();
}

std::optional<pgwire::error_report> pooled_traffic::note(const pgwire::verdict& verdict, const frontend::bind* values,
                                                         std::string_view encoding) {
  std::vector<const pgwire::verdict*> executed;
  for (const std::string& name : verdict.executes) {
    const auto runs = statement_of(name);
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
  server_->look_at_rows();
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

void pooled_traffic::flush_server(byte_run& to_server) {
  to_server.insert(frontend::flush{}.encode());
  flushed_ = true;
}

void pooled_traffic::push(expected&& what) {
  if (what.may_copy) copy_.asked = false;
  naming_.sent(what);
  answers_.push(std::move(what));
}

pooled_traffic::expected& pooled_traffic::push(kind what) {
  expected& pushed = answers_.push(what);
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
