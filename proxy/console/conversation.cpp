#include "proxy/console/conversation.hpp"

#include <charconv>
#include <utility>

#include "protocol/message_type.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/console/layouts.hpp"

namespace proxy::console {

namespace backend = pgwire::backend;
namespace frontend = pgwire::frontend;
namespace sqlstate = pgwire::sqlstate;

namespace {

const pgwire::frame_rules& every_message() {
  static const auto rules = [] {
    pgwire::frame_rules made = pgwire::frontend_rules();
    for (auto& one : made.of) one.look = pgwire::frame_rules::attention::want_body;
    return made;
  }();
  return rules;
}

std::int16_t format_of(std::span<const std::int16_t> as, std::size_t column) {
  return as.empty() ? std::int16_t{0} : as.size() == 1 ? as[0] : column < as.size() ? as[column] : std::int16_t{0};
}

// A value in binary format. Text is the same in both.
std::string binary(const std::string& text, column_type type) {
  if (type == column_type::text) return text;
  if (type == column_type::boolean) return {text == "t" ? '\1' : '\0'};
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  const std::size_t size = type == column_type::int8 ? 8 : 4;
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[size - 1 - i] = static_cast<char>(number >> (8 * i));
  return bytes;
}

std::int16_t size_of(column_type type) {
  switch (type) {
    case column_type::boolean: return 1;
    case column_type::int8: return 8;
    case column_type::int4: return 4;
    case column_type::text: break;
  }
  return -1;
}

}  // namespace

void write_row(const columns& heads, const row& cells, std::span<const std::int16_t> as, std::string& out) {
  pgwire::writer to;
  to.begin(pgwire::backend_type::data_row).count(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool plain = !cells[i] || format_of(as, i) == 0;
    if (plain) {
      to.value(cells[i]);
    } else {
      to.value(binary(*cells[i], heads[i].type));
    }
  }
  to.finish();
  out += to.take();
}

conversation::conversation(std::string user) : user_(std::move(user)), incoming_(every_message(), most_text) {}

bool conversation::idle() const {
  return !running_ && queued_.empty() && !in_query_ && !in_transaction_ && portals_.empty() && !skips_ &&
         incoming_.at_boundary();
}

conversation::step conversation::advance(std::string& out) {
  for (int steps = 0; steps < most_steps && out.size() < most_written; ++steps) {
    if (running_) {
      if (running_->asks && !answer_) return step::asks;
      show_rows(out);
      continue;
    }
    if (in_query_) {
      if (queued_.empty()) {
        in_query_ = false;
        ready(out);
      } else {
        run next{std::move(queued_.front()), {}, {}};
        queued_.pop_front();
        begin(std::move(next));
      }
      continue;
    }
    const pgwire::frame_piece* piece = incoming_.peek();
    if (piece == nullptr) {
      if (!incoming_.fault()) return step::starved;
      fault_ = incoming_.fault();
      return step::fault;
    }
    if (!piece->begins || !piece->ends) {
      take_too_long(*piece, out);
    } else {
      take(*piece, out);
    }
    incoming_.pop();
    if (terminated_) return step::terminated;
    if (fault_) return step::fault;
  }
  return step::goes_on;
}

void conversation::take(const pgwire::frame_piece& piece, std::string& out) {
  namespace type = pgwire::frontend_type;
  switch (piece.type) {
    case type::terminate: terminated_ = true; return;
    case type::sync: on_sync(out); return;
    case type::flush:
    case type::copy_data:
    case type::copy_done:
    case type::copy_fail: return;
    default: break;
  }
  if (skips_) return;
  if (piece.type == type::query) {
    const auto message = frontend::query::decode(piece.body());
    if (!message) {
      fault_ = message.error();
      return;
    }
    on_query(message->text, out);
  } else if (piece.type == type::function_call) {
    fail(not_a_database(), out);
    ready(out);
  } else if (auto error = extended(piece, out)) {
    fail(*error, out);
    skips_ = true;
  }
}

// Of what is too long nothing is kept; it is refused once it has gone by.
void conversation::take_too_long(const pgwire::frame_piece& piece, std::string& out) {
  if (piece.begins) too_long_ = piece.type;
  if (!piece.ends) return;
  const char type = std::exchange(too_long_, '\0');
  if (skips_ || type == pgwire::frontend_type::copy_data) return;
  fail(refusal(sqlstate::program_limit_exceeded,
               "the console reads no message of more than " + std::to_string(most_text) + " bytes"),
       out);
  const bool simple = type == pgwire::frontend_type::query || type == pgwire::frontend_type::function_call;
  if (simple) {
    ready(out);
  } else {
    skips_ = true;
  }
}

void conversation::on_query(std::string_view text, std::string& out) {
  auto read = parse(text, user_);
  if (read && read->parameters > 0) {
    read = std::unexpected(refusal(sqlstate::undefined_parameter, "there is no parameter $1"));
  }
  if (!read) {
    fail(read.error(), out);
    ready(out);
    return;
  }
  in_query_ = true;
  if (read->commands.empty()) out += backend::empty_query_response{}.encode();
  for (command& one : read->commands) queued_.push_back(std::move(one));
  // As with a server, the unnamed ones do not outlive a simple query.
  statements_.erase(std::string());
  portals_.erase(std::string());
}

void conversation::on_sync(std::string& out) {
  skips_ = false;
  if (!in_transaction_) portals_.clear();
  ready(out);
}

// What needs nobody's help is done at once.
void conversation::begin(run what) {
  running_ = std::move(what);
  const command& asked = running_->what;
  running_->asks = asked.what != verb::talk;
  if (running_->asks) return;
  if (asked.effect == talk_effect::begins) in_transaction_ = true;
  if (asked.effect == talk_effect::ends) {
    in_transaction_ = false;
    portals_.clear();
  }
  if (asked.effect == talk_effect::discards) {
    statements_.clear();
    portals_.clear();
  }
  answer done;
  if (asked.heads) done.rows = table::of(*asked.heads, asked.rows);
  answer_with(std::move(done));
}

void conversation::answer_with(answer what) { answer_ = std::move(what); }

// One step of the command under way: its outcome, or a row.
void conversation::show_rows(std::string& out) {
  run& now = *running_;
  if (answer_) {
    answer came = std::move(*std::exchange(answer_, std::nullopt));
    now.asks = false;
    if (came.error) return fail(*came.error, out);
    if (!came.notice.empty()) out += pgwire::encode_notice({"NOTICE", "00000", came.notice, {}, {}});
    if (!came.rows) return complete(now.what.tag, out);
    auto selected = selection::make(std::move(*came.rows), now.what.how);
    if (!selected) return fail(selected.error(), out);
    now.rows = std::move(*selected);
    if (!now.extended) describe(now.rows->heads(), now.as, out);
    return;
  }
  if (now.most_rows > 0 && now.written == now.most_rows) {
    portal& kept = portals_[now.portal];
    kept.rest = std::move(now.rows);
    running_.reset();
    out += backend::portal_suspended{}.encode();
    return;
  }
  switch (now.rows->next()) {
    case selection::step::busy: return;
    case selection::step::found:
      write_row(now.rows->heads(), now.rows->current(), now.as, out);
      ++now.written;
      return;
    case selection::step::end: return complete(now.what.tag, out);
  }
}

void conversation::complete(std::string_view tag, std::string& out) {
  out += backend::command_complete{tag}.encode();
  if (running_->extended) {
    if (const auto found = portals_.find(running_->portal); found != portals_.end()) found->second.done = true;
  }
  running_.reset();
}

void conversation::fail(const pgwire::error_report& why, std::string& out) {
  out += pgwire::encode_error(why);
  queued_.clear();
  if (running_ && running_->extended) skips_ = true;
  running_.reset();
}

void conversation::ready(std::string& out) {
  using status = backend::transaction_status;
  out += backend::ready_for_query{in_transaction_ ? status::in_transaction : status::idle}.encode();
}

void conversation::describe(const columns& heads, const formats& as, std::string& out) {
  backend::row_description told;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const auto type = heads[i].type;
    told.fields.push_back({heads[i].name, 0, 0, static_cast<std::uint32_t>(type), size_of(type), -1, format_of(as, i)});
  }
  out += told.encode();
}

}  // namespace proxy::console
