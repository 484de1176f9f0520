// Which messages may come once a client is logged in, and how long they may be.
#include <initializer_list>

#include "protocol/frame_scanner.hpp"
#include "protocol/message_type.hpp"

namespace pgwire {
namespace {

constexpr std::uint32_t large = 0x3ffffffe;  // PQ_LARGE_MESSAGE_LIMIT: MaxAllocSize - 1
constexpr std::uint32_t small = 10000;       // PQ_SMALL_MESSAGE_LIMIT
constexpr std::uint32_t any = 0x7fffffff;    // the length is a signed field

constexpr auto at(char type) { return static_cast<std::uint8_t>(type); }

constexpr void allow(frame_rules& rules, std::initializer_list<char> types, std::uint32_t most,
                     std::uint32_t least = 4) {
  for (const char type : types) {
    rules.of[at(type)].most_length = most;
    rules.of[at(type)].least_length = least;
  }
}

constexpr void misplace(frame_rules& rules, std::initializer_list<char> types) {
  for (const char type : types) rules.of[at(type)].fault = errc::misplaced_message;
}

constexpr frame_rules make_frontend() {
  using namespace frontend_type;
  frame_rules rules;
  allow(rules, {query, parse, bind, function_call, copy_data}, large);
  allow(rules, {close, frontend_type::describe, execute, copy_fail}, small);
  allow(rules, {sync, flush, copy_done, terminate}, 4);
  misplace(rules, {authentication});
  return rules;
}

constexpr frame_rules make_backend() {
  using namespace backend_type;
  frame_rules rules;
  allow(rules,
        {notification_response, command_complete, data_row, error_response, copy_in_response, copy_out_response,
         notice_response, parameter_status, row_description, function_call_response, copy_both_response, copy_data,
         parameter_description},
        any);
  allow(rules,
        {parse_complete, bind_complete, close_complete, empty_query_response, copy_done, no_data, portal_suspended}, 4);
  allow(rules, {ready_for_query}, 5, 5);
  misplace(rules, {authentication, backend_key_data, negotiate_protocol_version});
  return rules;
}

constexpr frame_rules frontend_table = make_frontend();
constexpr frame_rules backend_table = make_backend();

}  // namespace

const frame_rules& frontend_rules() { return frontend_table; }
const frame_rules& backend_rules() { return backend_table; }

}  // namespace pgwire
