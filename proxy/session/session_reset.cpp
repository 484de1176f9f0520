#include "proxy/session/session_reset.hpp"

#include <array>
#include <charconv>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/message_type.hpp"

namespace proxy {
namespace {

namespace backend = pgwire::backend;
namespace from_backend = pgwire::backend_type;

std::string text_of(double number) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr};
}

bool is_tag(pgwire::byte_view body, std::string_view tag) {
  const auto complete = backend::command_complete::decode(body);
  return complete && complete->tag == tag;
}

bool is_idle(pgwire::byte_view body) {
  const auto ready = backend::ready_for_query::decode(body);
  return ready && ready->status == backend::transaction_status::idle;
}

}  // namespace

// A number would have to be converted by the server's parser.
std::string sets_seed(double fraction) { return "pg_catalog.setseed('" + text_of(fraction) + "')"; }

session_reset::session_reset(double seed) : seed_(text_of(seed)) {}

// First what might keep the rest waiting for a snapshot, which RESET does not take. DISCARD ALL stands alone, since it
// refuses to be one of several. The seed, which nobody knows, comes back: so no answer to somebody else's statement is
// taken for this one's.
std::string session_reset::request() const {
  return pgwire::frontend::query{"RESET ALL"}.encode() + pgwire::frontend::query{"DISCARD ALL"}.encode() +
         pgwire::frontend::query{"SELECT pg_catalog.setseed('" + seed_ + "'), '" + seed_ +
                                 "', pg_catalog.pg_my_temp_schema()"}
             .encode();
}

session_reset::outcome session_reset::on_message(char type, pgwire::byte_view body) {
  if (type == from_backend::notice_response || type == from_backend::notification_response) return outcome::goes_on;
  if (type == from_backend::parameter_status) {
    const auto status = backend::parameter_status::decode(body);
    if (!status) return outcome::failed;
    reported_[std::string(status->name)] = status->value;
    return reported_.size() <= most_parameters ? outcome::goes_on : outcome::failed;
  }
  const bool last = next_ == awaits::ready;
  if (!take(type, body)) return outcome::failed;
  return last ? outcome::clean : outcome::goes_on;
}

// Whether this is what has to come next.
bool session_reset::take(char type, pgwire::byte_view body) {
  switch (next_) {
    case awaits::unhampered:
      next_ = awaits::ready_to_discard;
      return type == from_backend::command_complete && is_tag(body, "RESET");
    case awaits::ready_to_discard:
      next_ = awaits::discarded;
      return type == from_backend::ready_for_query && is_idle(body);
    case awaits::discarded:
      next_ = awaits::ready_again;
      return type == from_backend::command_complete && is_tag(body, "DISCARD ALL");
    case awaits::ready_again: next_ = awaits::columns; return type == from_backend::ready_for_query && is_idle(body);
    case awaits::columns: next_ = awaits::row; return type == from_backend::row_description;
    case awaits::row: {
      next_ = awaits::seeded;
      if (type != from_backend::data_row) return false;
      const auto row = backend::data_row::decode(body);
      return row && row->columns.size() == 3 && row->columns[1] == seed_ && row->columns[2] == "0";
    }
    case awaits::seeded:
      next_ = awaits::ready;
      return type == from_backend::command_complete && is_tag(body, "SELECT 1");
    case awaits::ready: return type == from_backend::ready_for_query && is_idle(body);
  }
  return false;
}

}  // namespace proxy
