// How a lease's connection comes to wear the session's state, and what becomes of one that cannot.
#include <string>
#include <string_view>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/pooled_traffic.hpp"
#include "proxy/session/session_reset.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace backend = pgwire::backend;
namespace frontend_type = pgwire::frontend_type;
namespace sqlstate = pgwire::sqlstate;

}  // namespace

void pooled_traffic::begin_lease(server_session& server, byte_run& to_server) {
  server_ = &server;
  status_ = 'I';
  over_ = server_leaves_ = held_ = ran_ = begins_again_ = false;
  dressing_.of_new = false;
  undressed_why_.reset();
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
  dressing_.of_new = fresh;
  if (!fresh) first_words_.emplace();
  if (hampered) return undress(to_server);
  change_clothes(to_server);
}

// With a ReadyForQuery of its own: it may run into the very timeout that it takes off. No RESET takes a snapshot, as
// all else does, so it waits for nobody.
void pooled_traffic::undress(byte_run& to_server) {
  ++dressing_.resets;
  barrier_ = true;
  undressed_why_.reset();
  server_->worn = nullptr;
  hidden_query("RESET ALL", owner::undress, to_server);
}

void pooled_traffic::on_reset(byte_run& to_server) {
  if (dressing_.cancel_came && !undressed_why_) {  // too late for this, and in time for what was to follow
    auto why = cancelled_for_.take();
    undressed_why_ = why ? *std::move(why) : ending::cancelled().report;
  }
  if (undressed_why_) {
    dressing_.failed =
        undressed_why_->code != sqlstate::query_canceled || dressing_.resets == most_cancelled || dressing_.cancel_came;
    if (!dressing_.failed) undress(to_server);
    return;
  }
  dressing_.resets = 0;
  barrier_ = false;  // what dresses goes together with the client's message
  change_clothes(to_server);
}

void pooled_traffic::change_clothes(byte_run& to_server) {
  const bool foreign = !server_->worn;
  if (foreign) {
    server_->statements.clear();
    client_before_ = 0;
    run_hidden("DISCARD ALL", owner::dress, to_server);
  } else if (!dressing_.of_new && server_->worn->reading_fingerprint() != changes_.state()->reading_fingerprint()) {
    // Those inside functions hold constants as the settings of before had them read.
    run_hidden("DISCARD PLANS", owner::dress, to_server);
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
  dressing_.under_way = true;
  dressing_.asked = false;
  server_->worn = nullptr;
  if (when == reply::with_the_clients) run_hidden("BEGIN", owner::dress, to_server);
  if (!sql.empty()) run_hidden(sql, owner::dress, to_server);
  if (when == reply::with_the_clients) return run_hidden("COMMIT", owner::dress, to_server);
  hidden_query("", owner::dress, to_server);
}

void pooled_traffic::dressed() {
  dressing_.under_way = dressing_.of_new = false;
  first_words_.reset();
  server_->worn = changes_.state();
  untold_ = true;
  settle_barrier();
}

// `for_good`: or it is tried again, see on_reset. Null: nobody can read why.
void pooled_traffic::not_dressed(const pgwire::error_fields* why, bool for_good) {
  dressing_.failed = for_good;
  if (why == nullptr) {
    undressed_why_ = pgwire::error_report{
        "ERROR", std::string(sqlstate::internal_error), "the session's state could not be set", {}, {}};
    return;
  }
  undressed_why_ = pgwire::error_report{"ERROR", std::string(why->code), std::string(why->message),
                                        std::string(why->detail), std::string(why->hint)};
  const auto told = why->code == sqlstate::query_canceled ? cancelled_for_.take() : std::nullopt;
  if (told) undressed_why_ = *told;
}

bool pooled_traffic::begin_again() {
  if (!first_words_ || !first_words_->fits || dressing_.cancel_came) return false;
  undo_names();
  for (const expected& entry : answers_.waiting()) {
    if (entry.whose == owner::client) undo(entry, false);
  }
  changes_.nothing_happened();
  end_move(true);
  const std::uint32_t counted = counted_already_ + first_words_->statements;
  client_.put_back(pgwire::as_bytes(first_words_->said));
  rounds_.open = false;  // it goes on with the next lease
  end_lease();
  counted_already_ = counted;
  skipping_ = unsynced_ = false;
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
  const frame_piece* const next = client_.peek();
  if (asked || next == nullptr) return;
  // What waited for the dressing comes to nothing, too: a query, or a pipeline up to its Sync.
  if (next->type == frontend_type::query || next->type == frontend_type::function_call) {
    byte_run to_nobody;
    refuse(*undressed_why_, to_nobody, to_client);
  } else {
    tell_error(*undressed_why_, to_client);
    skipping_ = true;
  }
}

}  // namespace proxy
