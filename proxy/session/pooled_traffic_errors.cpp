// Of the server's stream: errors. Whose they are, what they undo, and in which words the client hears of them.
#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace proxy {
namespace {

using pgwire::frame_piece;
namespace backend = pgwire::backend;
namespace sqlstate = pgwire::sqlstate;
namespace from_backend = pgwire::backend_type;

// An ErrorResponse as it came.
std::string as_it_came(pgwire::byte_view body) {
  pgwire::writer out;
  out.begin(from_backend::error_response).bytes(pgwire::as_text(body)).finish();
  return out.take();
}

// One with one of its fields said anew, by a function from text to text.
template <class Function>
std::string with_field(pgwire::byte_view body, char code, Function anew) {
  auto error = backend::error_response::decode(body);
  if (!error) return as_it_came(body);
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

void pooled_traffic::on_error(const frame_piece& piece, byte_run& to_client) {
  const auto fields = piece.ends ? pgwire::parse_error_fields(piece.body())
                                 : pgwire::result<pgwire::error_fields>(pgwire::error_fields{});
  const bool fatal = fields && pgwire::is_fatal(*fields);
  expected* const at = answers_.front();
  if (over_ && at == nullptr) {  // it came in one go with what the client waited for, before anybody could hand it back
    server_leaves_ = true;
    reply_passes_ = false;
    return;
  }
  const bool of_dressing = at != nullptr && (at->whose == owner::undress || at->whose == owner::dress);
  if ((fatal && !of_dressing) || at == nullptr) {
    ++tally_.errors;
    server_said_fatal_ = server_said_fatal_ || fatal;
    reply_passes_ = true;
    to_client.pass(piece.bytes);
    // A timeout that the server came to at a Flush, which is nothing it would answer: it skips what follows.
    lost_track_ = !fatal && !unsynced_;
    if (!fatal && unsynced_) {
      failed_ = true;
      drop_skipped();
    }
    return;
  }
  reply_passes_ = false;
  switch (at->whose) {
    case owner::undress:
    case owner::dress: not_dressed(fields ? &*fields : nullptr, fatal || at->whose == owner::dress); return;
    case owner::inventory: asking_->failed_by = fields ? std::string(fields->code) : std::string(); return;
    case owner::restore: lost_track_ = true; return;
    case owner::helper: {
      const expected* const end = answers_.next_ready();
      if (end == nullptr || end->whose == owner::client) break;  // a pipeline of the client's comes to nothing with it
      // What the client's statement calls by its name cannot be there, and this is what it would have run into.
      if (at->what == kind::parse && piece.ends) help_failed_.emplace(as_it_came(piece.body()));
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
  if (std::exchange(copy_.probed, false) && fields && fields->message.contains(copying::misplaced)) {
    copy_.goes_on = true;
    return;
  }
  ++tally_.errors;
  copy_.is_open = false;
  lost_track_ = lost_track_ || copy_.stray_sync;  // whether it still was COPY data when the Sync came is not known
  const bool cancelled = fields && fields->code == sqlstate::query_canceled;
  if (const auto why = cancelled_for_.take(); why && cancelled) {
    to_client.insert(pgwire::encode_error(*why));
  } else if (help_failed_ && at->what == kind::query && fields && fields->code == sqlstate::invalid_statement_name) {
    to_client.insert(*help_failed_.take());
  } else if (at->refusal) {
    to_client.insert(pgwire::encode_error(*at->refusal));
  } else if ((at->what == kind::bind || at->what == kind::describe) && !at->text.empty() && piece.ends) {
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
    // Whether a timeout hit this, or the Flush before it, behind which this is skipped, only the next Sync would tell.
    lost_track_ = lost_track_ || (at->behind_flush && cancelled);
    query_failed_ = failed_ = true;
    return;
  }
  // It may have gone stale, by a change of the schema that was not seen: the next time it is made anew.
  const bool of_ours = (at->what == kind::bind || at->what == kind::describe) && !at->text.empty() && status_ != 'E';
  if (of_ours && fields && fields->code == sqlstate::invalid_statement_name) {
    server_->statements.clear();  // somebody has told the server to forget them
  } else if (of_ours && fields && fields->code == sqlstate::feature_not_supported && !at->client_name.empty()) {
    // Another result than the client prepared it for: it fails as long as that is so.
    server_->statements.set_stale(at->text);
  } else if (of_ours) {
    server_->statements.remove(at->text);
    server_->statements.unwanted(at->text);
  }
  failed_ = true;
  undo_names();
  undo(*at, true);
  answers_.pop();
  drop_skipped();
}

}  // namespace proxy
