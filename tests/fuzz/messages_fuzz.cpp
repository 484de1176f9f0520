// The first byte chooses a message; a body that decodes must encode to the same bytes.
#include <array>
#include <cstdlib>

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/trace.hpp"

namespace {

using namespace pgwire;

template <class Message>
void check(byte_view body) {
  const auto decoded = Message::decode(body);
  if (decoded && std::string_view(decoded->encode()).substr(5) != as_text(body)) std::abort();
}

constexpr std::array checks{
    check<frontend::bind>,
    check<frontend::close>,
    check<frontend::describe>,
    check<frontend::copy_fail>,
    check<frontend::execute>,
    check<frontend::function_call>,
    check<frontend::parse>,
    check<frontend::query>,
    check<frontend::password>,
    check<frontend::sasl_initial_response>,
    check<frontend::sasl_response>,
    check<frontend::sync>,
    check<backend::authentication>,
    check<backend::backend_key_data>,
    check<backend::command_complete>,
    check<backend::copy_in_response>,
    check<backend::data_row>,
    check<backend::error_response>,
    check<backend::function_call_response>,
    check<backend::negotiate_protocol_version>,
    check<backend::notification_response>,
    check<backend::parameter_description>,
    check<backend::parameter_status>,
    check<backend::ready_for_query>,
    check<backend::row_description>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const auto body = std::as_bytes(std::span(data, size)).subspan(1);
  checks[data[0] % checks.size()](body);
  const char type = static_cast<char>(data[0]);
  trace_line(direction::from_client, type, body);
  trace_line(direction::from_server, type, body);
  const auto fields = parse_error_fields(body);
  if (fields) is_fatal(*fields);
  return 0;
}
