#include "proxy/session/traffic_tracker.hpp"

#include <algorithm>

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"

namespace proxy {
namespace {

using pgwire::frame_rules;
using attention = frame_rules::attention;

pgwire::frame_rules::rule& rule_of(frame_rules& rules, char type) { return rules.of[static_cast<unsigned char>(type)]; }

const frame_rules& tracked_client_rules() {
  static const frame_rules rules = [] {
    frame_rules made = pgwire::frontend_rules();
    for (const char type : {'Q', 'F', 'S', 'P', 'B', 'D', 'E', 'C', 'H', 'c', 'f', 'X'}) {
      rule_of(made, type).look = attention::notice;
    }
    return made;
  }();
  return rules;
}

// The same for those whose statements may have to be shown.
const frame_rules& watched_client_rules() {
  static const frame_rules rules = [] {
    frame_rules made = tracked_client_rules();
    for (const char type : {'Q', 'P'}) rule_of(made, type).look = attention::want_body;
    return made;
  }();
  return rules;
}

// Up to the first zero byte, or what there is.
std::string_view string_in(std::span<const std::byte> bytes) {
  const auto text = pgwire::as_text(bytes);
  return text.substr(0, text.find('\0'));
}

const frame_rules& server_rules() {
  static const frame_rules rules = [] {
    frame_rules made = pgwire::backend_rules();
    rule_of(made, 'G').look = attention::notice;
    rule_of(made, 'C').look = attention::want_body;
    for (const char type : {'I', 's'}) rule_of(made, type).look = attention::notice;
    rule_of(made, 'Z').look = attention::want_body;
    rule_of(made, 'E').look = attention::want_body;
    rule_of(made, 'S').look = attention::want_body;
    return made;
  }();
  return rules;
}

}  // namespace

traffic_tracker::traffic_tracker() : client_(tracked_client_rules()), server_(server_rules()) {}

traffic_tracker::verdict traffic_tracker::from_client(std::span<const std::byte> chunk) {
  const auto seen = client_.scan(chunk, [this](const pgwire::frame& frame) { client_message(frame); });
  verdict result{seen.accepted, {}};
  if (seen.error) result.fault = traffic_fault{*seen.error, seen.type};
  return result;
}

traffic_tracker::verdict traffic_tracker::from_server(std::span<const std::byte> chunk) {
  const auto seen = server_.scan(chunk, [this](const pgwire::frame& frame) { server_message(frame); });
  verdict result{seen.accepted, {}};
  if (seen.error) result.fault = traffic_fault{*seen.error, seen.type};
  return result;
}

bool traffic_tracker::idle() const {
  return transaction_ == 'I' && queries_pending_ == 0 && syncs_pending_ == 0 && !unsynced_ && client_.at_boundary() &&
         server_.at_boundary();
}

traffic_moment traffic_tracker::moment() const {
  const bool running = queries_pending_ > 0 || syncs_pending_ > 0 || executes_pending_ > 0;
  return {running, transaction_ != 'I' || unsynced_, !client_.at_boundary(), transactions_, steps_};
}

void traffic_tracker::watch(bool wanted) {
  if (shown_.watching() == wanted) return;
  shown_.watch(wanted);
  client_.look_by(wanted ? watched_client_rules() : tracked_client_rules());
}

void traffic_tracker::client_message(const pgwire::frame& frame) {
  const char type = frame.type;
  if (type == 'Q') shown_.note(string_in(frame.body), rounds_);
  if (type == 'P' && !frame.body.empty()) {
    const auto name = string_in(frame.body);
    shown_.note(string_in(frame.body.subspan(std::min(name.size() + 1, frame.body.size()))), rounds_);
  }
  if (type == 'Q' || type == 'F' || type == 'E') {
    ++tally_.statements;
    ++steps_;
    rounds_.open = true;
  }
  if (type == 'E') ++executes_pending_;
  switch (type) {
    case 'Q':
    case 'F': ++queries_pending_; break;
    case 'S':
      if (!copy_in_) ++syncs_pending_;
      unsynced_ = false;
      break;
    case 'c':
    case 'f': copy_in_ = false; break;
    case 'X': client_terminated_ = true; break;
    default: unsynced_ = true;
  }
}

void traffic_tracker::server_message(const pgwire::frame& frame) {
  switch (frame.type) {
    case 'G':
      copy_in_ = true;
      if (queries_pending_ == 0) syncs_pending_ = 0;  // it swallowed them
      transaction_ = 'T';                             // whatever the count says, a ReadyForQuery is still to come
      break;
    case 'C':
      ++steps_;
      if (const auto tag = pgwire::backend::command_complete::decode(frame.body)) {
        tally_.rows += desk::rows_of_tag(tag->tag);
      }
      [[fallthrough]];
    case 'I':
    case 's':
      if (executes_pending_ > 0) --executes_pending_;
      break;
    case 'S': note_report(frame); break;
    case 'Z':
      copy_in_ = false;
      ++steps_;
      if (!frame.body.empty()) transaction_ = static_cast<char>(frame.body.front());
      if (transaction_ == 'I' && (queries_pending_ > 0 || syncs_pending_ > 0)) {  // not that of the greeting
        ++tally_.transactions;
        ++transactions_;
      }
      if (queries_pending_ > 0) {
        --queries_pending_;
      } else if (syncs_pending_ > 0) {
        --syncs_pending_;
      }
      if (syncs_pending_ == 0 && !unsynced_) executes_pending_ = 0;
      ++rounds_.ended;
      rounds_.open = queries_pending_ > 0 || executes_pending_ > 0;
      break;
    default:
      ++tally_.errors;
      executes_pending_ = 0;  // what follows is skipped, or comes to its Sync
      if (const auto fields = pgwire::parse_error_fields(frame.body); fields && pgwire::is_fatal(*fields)) {
        server_said_fatal_ = true;
      }
  }
}

void traffic_tracker::note_report(const pgwire::frame& frame) {
  const auto status = pgwire::backend::parameter_status::decode(frame.body);
  if (!status || frame.truncated) all_reported_known_ = false;
  if (!all_reported_known_) return;
  if (!reported_) reported_ = std::make_unique<parameter_map>();
  (*reported_)[std::string(status->name)] = status->value;
  all_reported_known_ = reported_->size() <= most_parameters;
}

}  // namespace proxy
