#include "protocol/trace.hpp"

#include "protocol/error_response.hpp"
#include "protocol/message_type.hpp"

namespace pgwire {
namespace {

std::string_view frontend_name(char type) {
  using namespace frontend_type;
  switch (type) {
    case bind: return "Bind";
    case close: return "Close";
    case frontend_type::describe: return "Describe";
    case execute: return "Execute";
    case function_call: return "FunctionCall";
    case flush: return "Flush";
    case parse: return "Parse";
    case query: return "Query";
    case sync: return "Sync";
    case terminate: return "Terminate";
    case copy_done: return "CopyDone";
    case copy_data: return "CopyData";
    case copy_fail: return "CopyFail";
    case authentication: return "AuthenticationAnswer";
    default: return "Unknown";
  }
}

std::string_view backend_name(char type) {
  using namespace backend_type;
  switch (type) {
    case parse_complete: return "ParseComplete";
    case bind_complete: return "BindComplete";
    case close_complete: return "CloseComplete";
    case notification_response: return "NotificationResponse";
    case command_complete: return "CommandComplete";
    case data_row: return "DataRow";
    case error_response: return "ErrorResponse";
    case copy_in_response: return "CopyInResponse";
    case copy_out_response: return "CopyOutResponse";
    case empty_query_response: return "EmptyQueryResponse";
    case backend_key_data: return "BackendKeyData";
    case notice_response: return "NoticeResponse";
    case authentication: return "Authentication";
    case parameter_status: return "ParameterStatus";
    case row_description: return "RowDescription";
    case function_call_response: return "FunctionCallResponse";
    case copy_both_response: return "CopyBothResponse";
    case ready_for_query: return "ReadyForQuery";
    case copy_done: return "CopyDone";
    case copy_data: return "CopyData";
    case no_data: return "NoData";
    case portal_suspended: return "PortalSuspended";
    case parameter_description: return "ParameterDescription";
    case negotiate_protocol_version: return "NegotiateProtocolVersion";
    default: return "Unknown";
  }
}

void add(std::string& line, std::string_view fact, std::string_view text) {
  line.append(" ").append(fact).append("=");
  for (const char c : text) line.push_back(c > ' ' && c <= '~' ? c : c == ' ' ? '_' : '?');
}

void add_text(std::string& line, std::string_view fact, byte_reader& in) {
  const auto text = in.cstring();
  if (in.ok()) add(line, fact, text);
}

void add_letter(std::string& line, std::string_view fact, byte_reader& in) {
  const char letter = in.letter();
  if (in.ok()) add(line, fact, {&letter, 1});
}

void add_frontend_facts(std::string& line, char type, byte_view body) {
  using namespace frontend_type;
  byte_reader in(body);
  switch (type) {
    case bind:
      add_text(line, "portal", in);
      add_text(line, "statement", in);
      break;
    case close:
    case frontend_type::describe:
      add_letter(line, "target", in);
      add_text(line, "name", in);
      break;
    case execute: add_text(line, "portal", in); break;
    case parse: add_text(line, "statement", in); break;
    default: break;
  }
}

void add_backend_facts(std::string& line, char type, byte_view body) {
  using namespace backend_type;
  byte_reader in(body);
  switch (type) {
    case command_complete: add_text(line, "tag", in); break;
    case ready_for_query: add_letter(line, "status", in); break;
    case parameter_status: add_text(line, "name", in); break;
    case error_response:
    case notice_response:
      if (const auto fields = parse_error_fields(body)) {
        add(line, "severity", fields->severity);
        add(line, "code", fields->code);
      }
      break;
    case authentication: {
      const auto method = in.u32();
      if (in.ok()) add(line, "method", std::to_string(method));
      break;
    }
    case data_row:
    case row_description: {
      const auto columns = in.u16();
      if (in.ok()) add(line, "columns", std::to_string(columns));
      break;
    }
    default: break;
  }
}

}  // namespace

std::string_view message_name(direction from, char type) {
  return from == direction::from_client ? frontend_name(type) : backend_name(type);
}

std::string trace_line(direction from, char type, byte_view body) {
  std::string line(from == direction::from_client ? "client " : "server ");
  line.append(message_name(from, type)).append(" ").append(std::to_string(body.size()));
  if (from == direction::from_client) {
    add_frontend_facts(line, type, body);
  } else {
    add_backend_facts(line, type, body);
  }
  return line;
}

}  // namespace pgwire
