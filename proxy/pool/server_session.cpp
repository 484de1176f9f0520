#include "proxy/pool/server_session.hpp"

#include "protocol/message_type.hpp"

namespace proxy {
namespace {

using attention = pgwire::frame_rules::attention;

// What is judged by its contents is small; a longer one is passed on unread.
constexpr std::size_t most_judged = std::size_t{64} * 1024;

pgwire::frame_rules make_rules(bool every_row) {
  using namespace pgwire::backend_type;
  pgwire::frame_rules rules = pgwire::backend_rules();
  const auto look_at = [&](std::initializer_list<char> types, attention how) {
    for (const char type : types) rules.of[static_cast<unsigned char>(type)].look = how;
  };
  look_at({parse_complete, bind_complete, close_complete, no_data, portal_suspended, empty_query_response,
           parameter_description, copy_in_response, copy_out_response, copy_both_response, function_call_response,
           notification_response, notice_response},
          attention::notice);
  look_at({command_complete, error_response, parameter_status, ready_for_query, row_description}, attention::want_body);
  if (every_row) look_at({data_row}, attention::want_body);
  return rules;
}

const pgwire::frame_rules& stream_rules() {
  static const pgwire::frame_rules rules = make_rules(false);
  return rules;
}

const pgwire::frame_rules& every_row_rules() {
  static const pgwire::frame_rules rules = make_rules(true);
  return rules;
}

}  // namespace

server_session::server_session() : incoming(stream_rules(), most_judged) {}

void server_session::look_at_rows() { incoming.look_by(every_row_rules(), most_row); }

void server_session::let_rows_pass() { incoming.look_by(stream_rules(), most_judged); }

void server_session::doubt_role() {
  if (!worn || worn->find("role") == nullptr) return;
  routing::setting_list tenants = worn->tenant();
  tenants.emplace_back("role", std::string(1, '\0'));  // which no role is called
  worn = std::make_shared<const routing::session_state>(
      routing::session_state(tenants, worn->own()).with("role", std::nullopt));
}

}  // namespace proxy
