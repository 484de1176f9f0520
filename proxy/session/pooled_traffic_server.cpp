#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/message_type.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace backend = pgwire::backend;
namespace from_backend = pgwire::backend_type;

}  // namespace

pooled_traffic::outcome pooled_traffic::from_server(std::span<const std::byte> chunk, byte_run& to_client,
                                                    byte_run& to_server) {
  if (!rest_passes_) return hear_server(chunk, to_client, to_server);
  byte_run behind;  // the rest of the client's message, which would swallow it, and end elsewhere than it seems to
  const outcome what = hear_server(chunk, to_client, behind);
  if (!behind.empty()) {
    if (!behind_rest_) behind_rest_.emplace();
    *behind_rest_ += pgwire::as_text(behind.bytes());
  }
  return what;
}

pooled_traffic::outcome pooled_traffic::hear_server(std::span<const std::byte> chunk, byte_run& to_client,
                                                    byte_run& to_server) {
  pgwire::frame_cutter& stream = server_->incoming;
  stream.feed(chunk);
  while (const frame_piece* piece = stream.peek()) {
    server_piece(*piece, to_client, to_server);
    stream.pop();
    if (dressing_.failed) return outcome::undressed;
    if (lost_track_) return outcome::lost_track;
    if (forbidden_) return outcome::forbidden;
  }
  if (stream.fault()) {
    fault_ = traffic_fault{*stream.fault(), stream.faulty_type()};
    return outcome::lost_track;
  }
  return over_ && stream.at_boundary() && !rest_passes_ ? outcome::over : outcome::leased;
}

void pooled_traffic::server_piece(const frame_piece& piece, byte_run& to_client, byte_run& to_server) {
  if (!piece.begins) {
    if (reply_passes_) to_client.pass(piece.bytes);
    return;
  }
  give_answers(to_client);
  expected* const at = answers_.front();
  const bool secret = at != nullptr && at->hidden();
  reply_passes_ = !secret;
  const auto ends = [&](kind what) {
    lost_track_ = at == nullptr || at->what != what;
    if (!lost_track_) answers_.pop();
  };
  switch (piece.type) {
    case 0: break;
    case from_backend::data_row:
      if (!asking_ || !secret) break;
      forbidden_ = too_large_ = !piece.ends;
      lost_track_ = piece.ends && !asking_->query.on_row(piece.body());
      break;
    case from_backend::parse_complete: ends(kind::parse); break;
    case from_backend::bind_complete:
      if (at != nullptr && at->portal != 0) portals_.confirm_bound(at->portal);
      ends(kind::bind);
      break;
    case from_backend::close_complete:
      if (at != nullptr && at->portal != 0) portals_.confirm(at->client_name, at->portal);
      ends(kind::close);
      break;
    case from_backend::no_data:
    case from_backend::row_description:
      if (asking_ && secret) asking_->query.on_row_description();
      if (at == nullptr || at->what != kind::describe) break;
      if (at->shape_wanted) on_shape(piece);
      answers_.pop();
      if (std::exchange(preparing_, false)) settle_barrier();
      break;
    case from_backend::command_complete:
      lost_track_ = copy_.is_open;
      if (!secret) on_tag(piece);
      if (at != nullptr) ++at->done;
      [[fallthrough]];
    case from_backend::empty_query_response:
    case from_backend::portal_suspended:
      if (at == nullptr) {
        lost_track_ = true;
      } else if (at->what == kind::execute) {
        on_executed(to_server);
      }
      break;
    case from_backend::copy_in_response: on_copy_in(); break;
    case from_backend::parameter_status: on_parameter(piece, to_client); return;
    case from_backend::error_response:
      on_error(piece, to_client);
      if (!copy_.is_open) send_held_syncs(to_server);
      give_answers(to_client);
      return;
    case from_backend::ready_for_query: on_ready(piece, to_client, to_server); return;
    case from_backend::notification_response:
      reply_passes_ = !dressing_.is_open();
      break;  // till then they are another's
    default: break;
  }
  if (reply_passes_) to_client.pass(piece.bytes);
  give_answers(to_client);
}

// Of the extended protocol.
void pooled_traffic::on_executed(byte_run& to_server) {
  const bool discarded = answers_.front()->dress_after;
  const bool dressed_some = answers_.front()->whose == owner::dress;
  answers_.pop();
  if (discarded) return dress_again(to_server);
  const expected* const next = answers_.front();
  const bool was_last = next == nullptr || next->whose != owner::dress;
  if (dressed_some && was_last && dressing_.under_way) dressed();
}

void pooled_traffic::on_tag(const frame_piece& piece) {
  const auto decoded = backend::command_complete::decode(piece.body());
  const std::string_view tag = decoded ? decoded->tag : std::string_view();
  tally_.rows += desk::rows_of_tag(tag);
  ++steps_;
  copy_.stray_sync = false;
  const expected* at = answers_.front();
  if (tag == "DEALLOCATE" && at != nullptr && !at->client_name.empty()) {
    named_.erase(at->client_name);
  } else if (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") {
    forget_names();
    server_->statements.clear();
    server_->statements.unnamed_unknown = true;
  }
  if (tag == "DISCARD ALL") {
    discarded_ = true;
    changes_.discarded();
  }
}

// All but those that the client has given since, in the same pipeline.
void pooled_traffic::forget_names() {
  client_statements later;
  for (const expected& at : answers_.waiting().subspan(1)) {
    client_statement* const kept = at.undo == on_skip::forget_name ? named_.find(at.client_name) : nullptr;
    if (kept != nullptr) later.add(at.client_name, *kept);
  }
  named_ = std::move(later);
}

void pooled_traffic::on_parameter(const frame_piece& piece, byte_run& to_client) {
  const auto status =
      piece.ends ? backend::parameter_status::decode(piece.body()) : pgwire::result<backend::parameter_status>{};
  const bool readable = piece.ends && status;
  const expected* at = answers_.front();
  const bool held = at != nullptr && (at->whose != owner::client || at->hold_ready);
  reply_passes_ = !held && !dressing_.under_way && !untold_;
  if (readable) {
    const auto known = server_->reported->find(status->name);
    if (known == server_->reported->end() || known->second != status->value) {
      auto next = std::make_shared<parameter_map>(*server_->reported);
      (*next)[std::string(status->name)] = status->value;
      server_->reported = std::move(next);
    }
  }
  if (!reply_passes_) return;
  if (readable) changes_.reported(status->name);
  to_client.pass(piece.bytes);
  if (readable) told_ = server_->reported;
}

void pooled_traffic::on_copy_in() {
  const auto waiting = answers_.waiting();
  if (waiting.size() != 1 || !waiting.front().may_copy) {
    lost_track_ = true;
    return;
  }
  copy_.open();
}

// The COPY has failed before it had any data: it has swallowed none of them.
void pooled_traffic::send_held_syncs(byte_run& to_server) {
  for (; copy_.held_syncs > 0; --copy_.held_syncs) {
    to_server.insert(pgwire::frontend::sync{}.encode());
    sync_sent();
  }
}

void pooled_traffic::on_ready(const frame_piece& piece, byte_run& to_client, byte_run& to_server) {
  expected* const at = answers_.front();
  if (at == nullptr || !at->ends_with_ready()) {
    lost_track_ = true;
    return;
  }
  reply_passes_ = false;
  if (copy_.goes_on) return;  // the session ends
  status_ = static_cast<char>(piece.body().front());
  const owner whose = at->whose;
  const bool held = at->hold_ready;
  const bool failed = std::exchange(query_failed_, false);
  naming_.answered(*at);
  answers_.pop();
  ++steps_;
  if (whose == owner::client && status_ == 'I') {
    ++tally_.transactions;
    ++transactions_;
  }
  if (whose == owner::client) end_round();
  switch (whose) {
    case owner::client:
      cancelled_for_.reset();
      help_failed_.reset();
      if (held && !failed) {
        hidden_query(routing::dress_query(*restore_after_), owner::restore, to_server);
        restore_after_.reset();
        return;
      }
      if (held) {
        restoring_ = false;
        restore_after_.reset();
      }
      if (std::exchange(untold_, false) || held) tell_parameters(to_client);
      to_client.pass(piece.bytes);
      break;
    case owner::restore:
      restoring_ = untold_ = false;
      tell_parameters(to_client);
      to_client.pass(piece.bytes);
      break;
    case owner::undress: return on_reset(to_server);
    case owner::dress:
      dressed();
      if (!unsynced_ && std::exchange(untold_, false)) tell_parameters(to_client);
      break;
    case owner::inventory:
      on_inventory(to_server);
      if (asking_ || lost_track_) return;
      break;
    case owner::helper: break;
  }
  give_answers(to_client);
  settle(to_server);
  settle_barrier();
}

// What the client has sent behind it is at work by now. Only the next round is looked at: each is looked at once.
void pooled_traffic::end_round() {
  ++rounds_.ended;
  rounds_.open = false;
  for (const expected& at : answers_.waiting()) {
    const bool runs = at.what == kind::query || at.what == kind::execute || at.what == kind::function_call;
    rounds_.open = rounds_.open || (runs && at.whose == owner::client);
    if (rounds_.open || at.ends_with_ready()) return;
  }
}

}  // namespace proxy
