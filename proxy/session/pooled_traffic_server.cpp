#include "proxy/session/pooled_traffic.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace backend = pgwire::backend;
namespace sqlstate = pgwire::sqlstate;
namespace from_backend = pgwire::backend_type;

// How often it is asked what a transaction has left behind, before that counts as unknown. A client that gives its
// statements a millisecond gives ours no more, and a busy server may miss that many times in a row.
constexpr int most_inventories = 5;
constexpr int most_cancelled_inventories = 200;

// An ErrorResponse with one of its fields said anew, by a function from text to text.
template <class Function>
std::string with_field(pgwire::byte_view body, char code, Function anew) {
  auto error = backend::error_response::decode(body);
  if (!error) {
    pgwire::writer out;
    out.begin(from_backend::error_response).bytes(pgwire::as_text(body)).finish();
    return out.take();
  }
  std::string said;
  for (auto& field : error->fields) {
    if (field.first == code) field.second = said = anew(std::string(field.second));
  }
  return error->encode();
}

// In which the server calls a statement by the lodge's name.
std::string in_clients_words(pgwire::byte_view body, std::string_view server_name, std::string_view client_name) {
  return with_field(body, 'M', [&](std::string message) {
    const auto at = message.find('"' + std::string(server_name) + '"');
    return at == std::string::npos ? message : message.replace(at + 1, server_name.size(), client_name);
  });
}

// Whose position is that in a text into which the lodge put something.
std::string at_clients_position(pgwire::byte_view body, const std::vector<put_in>& ours) {
  return with_field(body, 'P', [&](std::string position) {
    std::size_t at = 0;
    if (std::from_chars(position.data(), position.data() + position.size(), at).ec != std::errc()) return position;
    std::size_t extra = 0;
    for (const put_in& each : ours) extra += each.begin < at ? std::min(each.length, at - each.begin) : 0;
    return std::to_string(at - extra);
  });
}

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
    if (undressed_) return outcome::undressed;
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
    if (at == nullptr || at->what != what) {
      lost_track_ = at == nullptr || at->what != kind::query;
      return;
    }
    answers_.pop();
  };
  switch (piece.type) {
    case 0: break;
    case from_backend::data_row:
      if (asking_ && secret && piece.ends && !asking_->on_row(piece.body())) lost_track_ = true;
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
      if (asking_ && secret) asking_->on_row_description();
      if (at == nullptr || at->what != kind::describe) break;
      if (at->shape_wanted) on_shape(piece);
      answers_.pop();
      if (std::exchange(preparing_, false)) settle_barrier();
      break;
    case from_backend::command_complete:
      if (!secret) on_tag(piece);
      if (at != nullptr) ++at->done;
      [[fallthrough]];
    case from_backend::empty_query_response:
    case from_backend::portal_suspended:
      if (at == nullptr) {
        lost_track_ = true;
      } else if (at->what == kind::execute) {
        const bool dress = at->dress_after;
        answers_.pop();
        if (dress) dress_again(to_server);
      }
      break;
    case from_backend::copy_in_response: on_copy_in(); break;
    case from_backend::parameter_status: on_parameter(piece, to_client); return;
    case from_backend::error_response:
      on_error(piece, to_client);
      give_answers(to_client);
      return;
    case from_backend::ready_for_query: on_ready(piece, to_client, to_server); return;
    case from_backend::notification_response: reply_passes_ = !dressing_; break;  // till then they are another's
    default: break;
  }
  if (reply_passes_) to_client.pass(piece.bytes);
  give_answers(to_client);
}

void pooled_traffic::on_tag(const frame_piece& piece) {
  const auto decoded = backend::command_complete::decode(piece.body());
  const std::string_view tag = decoded ? decoded->tag : std::string_view();
  tally_.rows += desk::rows_of_tag(tag);
  ++steps_;
  stray_sync_ = false;
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
  decltype(named_) later;
  for (const expected& at : answers_.waiting().subspan(1)) {
    if (at.undo == on_skip::forget_name) later.insert(named_.extract(at.client_name));
  }
  named_ = std::move(later);
}

void pooled_traffic::on_parameter(const frame_piece& piece, byte_run& to_client) {
  const auto status =
      piece.ends ? backend::parameter_status::decode(piece.body()) : pgwire::result<backend::parameter_status>{};
  const bool readable = piece.ends && status;
  const expected* at = answers_.front();
  const bool held = at != nullptr && (at->whose != owner::client || at->hold_ready);
  reply_passes_ = !held && !dressing_;
  if (reply_passes_ && std::exchange(untold_, false)) tell_parameters(to_client);
  if (readable) {
    const auto known = server_->reported->find(status->name);
    if (known == server_->reported->end() || known->second != status->value) {
      auto next = std::make_shared<parameter_map>(*server_->reported);
      (*next)[std::string(status->name)] = status->value;
      server_->reported = std::move(next);
    }
  }
  if (!reply_passes_) return;
  to_client.pass(piece.bytes);
  if (readable) told_ = server_->reported;
}

void pooled_traffic::on_copy_in() {
  if (answers_.empty()) {
    lost_track_ = true;
    return;
  }
  const auto start = answers_.start_copy(copy_ends_, naming_);
  copy_in_ = !start.ended;
  if (!start.swallowed) return;
  const auto ends = [](const expected& at) { return at.ends_with_ready(); };
  const bool synced = std::ranges::any_of(answers_.waiting().subspan(1), ends);
  unsynced_ = !synced && answers_.front()->what != kind::query;
  if (!synced) {  // the pipeline goes on, and so do its messages
    settling_ = false;
    if (move_) move_->ends = false;
  }
  settle_barrier();
}

void pooled_traffic::on_error(const frame_piece& piece, byte_run& to_client) {
  const auto fields = piece.ends ? pgwire::parse_error_fields(piece.body())
                                 : pgwire::result<pgwire::error_fields>(pgwire::error_fields{});
  const bool fatal = fields && pgwire::is_fatal(*fields);
  expected* const at = answers_.front();
  if (fatal || at == nullptr) {
    ++tally_.errors;
    server_said_fatal_ = server_said_fatal_ || fatal;
    reply_passes_ = true;
    to_client.pass(piece.bytes);
    return;
  }
  reply_passes_ = false;
  switch (at->whose) {
    case owner::dress:
      undressed_ = true;
      undressed_why_ = pgwire::error_report{
          "ERROR", std::string(sqlstate::internal_error), "the session's state could not be set", {}, {}};
      if (fields) {
        undressed_why_ = pgwire::error_report{"ERROR", std::string(fields->code), std::string(fields->message),
                                              std::string(fields->detail), std::string(fields->hint)};
      }
      return;
    case owner::inventory: ask_again_ = fields ? std::string(fields->code) : std::string(); return;
    case owner::restore: lost_track_ = true; return;
    case owner::helper: {
      const expected* const end = answers_.next_ready();
      if (end == nullptr || end->whose == owner::client) break;  // a pipeline of the client's comes to nothing with it
      undo_names();
      undo(*at, true);
      if (at->ends_with_ready()) return;
      answers_.pop();
      drop_skipped();
      skipping_ = unsynced_ = false;  // the Sync is ours
      return;
    }
    case owner::client: break;
  }
  ++tally_.errors;
  copy_in_ = false;
  lost_track_ = lost_track_ || stray_sync_;  // whether it still was COPY data when the Sync came is not known
  const bool cancelled = fields && fields->code == sqlstate::query_canceled;
  if (const auto why = cancelled_for_.take(); why && cancelled) {
    to_client.insert(pgwire::encode_error(*why));
  } else if (at->refusal) {
    to_client.insert(pgwire::encode_error(*at->refusal));
  } else if (at->what == kind::bind && !at->text.empty() && piece.ends) {
    to_client.insert(in_clients_words(piece.body(), at->text, at->client_name));
  } else if (!at->ours.empty() && piece.ends) {
    to_client.insert(at_clients_position(piece.body(), at->ours));
  } else {
    reply_passes_ = true;
    to_client.pass(piece.bytes);
  }
  // The role may be another one of the same name by now, and what is worn is the old one.
  if (fields && (fields->code == sqlstate::insufficient_privilege || fields->code == sqlstate::undefined_object)) {
    server_->doubt_role();
  }
  if (at->ends_with_ready()) {
    query_failed_ = failed_ = true;
    return;
  }
  // A plan went stale that the client knows nothing of: the next time it is made anew.
  if (at->what == kind::bind && !at->text.empty() && at->client_name.empty() && fields &&
      fields->code == sqlstate::feature_not_supported) {
    server_->statements.remove(at->text);
    server_->statements.unwanted(at->text);
  }
  failed_ = true;
  undo_names();
  undo(*at, true);
  answers_.pop();
  drop_skipped();
}

void pooled_traffic::on_ready(const frame_piece& piece, byte_run& to_client, byte_run& to_server) {
  expected* const at = answers_.front();
  if (at == nullptr || !at->ends_with_ready()) {
    lost_track_ = true;
    return;
  }
  reply_passes_ = false;
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
      if (held && !failed) {
        hidden_query(routing::dress_query(restore_after_), owner::restore, to_server);
        restore_after_.clear();
        return;
      }
      if (held) {
        restoring_ = false;
        restore_after_.clear();
        tell_parameters(to_client);
      }
      if (std::exchange(untold_, false)) tell_parameters(to_client);
      to_client.pass(piece.bytes);
      break;
    case owner::restore:
      restoring_ = false;
      tell_parameters(to_client);
      to_client.pass(piece.bytes);
      break;
    case owner::dress:
      dressing_ = false;
      server_->worn = changes_.state();
      untold_ = unsynced_;
      if (!untold_) tell_parameters(to_client);
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

// The answer to `ask`, or an error instead.
void pooled_traffic::on_inventory(byte_run& to_server) {
  server_->incoming.look_by(server_stream_rules());
  const auto found = asking_->result();
  if (!found) {
    const int most = ask_again_ == sqlstate::query_canceled ? most_cancelled_inventories : most_inventories;
    auto again = ++asked_ > most ? std::nullopt : changes_.ask_again(asking_->request(), ask_again_);
    lost_track_ = !again;
    server_->suspect = server_->suspect || ask_again_ == sqlstate::insufficient_privilege;
    if (again) ask(std::move(*again), to_server);
    return;
  }
  const auto superuser = server_->reported->find("is_superuser");
  if (move_) move_->confirmed = speech_.confirmed_by(found->settings);
  const bool is_superuser = superuser != server_->reported->end() && superuser->second == "on";
  const bool inside = changes_.take(*found, asking_->pins(), is_superuser);
  server_->worn = inside ? changes_.state() : nullptr;
  lost_track_ = lost_track_ || (!inside && !changes_.pins().empty());  // a pinned one would go on as it is
  forbidden_ = changes_.forbidden().has_value();
  asking_.reset();
  asked_ = 0;
}

// After DISCARD ALL.
void pooled_traffic::dress_again(byte_run& to_server) {
  discarded_ = restoring_ = false;
  put_on({}, random_seed::stays, to_server);
}

// After a ReadyForQuery: is the lease over, or is there something to ask first?
void pooled_traffic::settle(byte_run& to_server) {
  if (status_ != 'I' || !answers_.empty() || unsynced_ || restoring_) return;
  portals_.clear();
  changes_.transaction_ended();
  const bool failed = std::exchange(failed_, false);
  if (std::exchange(discarded_, false) && failed) {
    dress_again(to_server);  // what should have restored it was skipped or rolled back
    failed_ = failed;
    return;
  }
  if (changes_.due()) {
    ask(changes_.take_request(), to_server);
    failed_ = failed;
    return;
  }
  if (move_ && move_->ends) end_move(failed);
  if (changes_.pins().empty() && !held_) {
    over_ = true;
    if (changes_.terms().prepare == routing::prepare_mode::off) server_->statements.retire();
  }
}

// What the client believes; empty where it has not been told.
std::string_view pooled_traffic::told(std::string_view parameter) const {
  const auto known = told_->find(parameter);
  return known != told_->end() ? std::string_view(known->second) : std::string_view();
}

// What the server reports by now and the client has not heard.
void pooled_traffic::tell_parameters(byte_run& to_client) {
  if (told_ == server_->reported) return;
  for (const auto& [name, value] : *server_->reported) {
    const auto known = told_->find(name);
    if (!greeted_ || (known != told_->end() && known->second == value)) continue;
    to_client.insert(backend::parameter_status{name, value}.encode());
  }
  told_ = server_->reported;
}

}  // namespace proxy
