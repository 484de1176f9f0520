#include "protocol/frontend_messages.hpp"

#include "protocol/message_lists.hpp"
#include "protocol/writer.hpp"

namespace pgwire::frontend {
namespace {

target read_target(byte_reader& in) {
  const char letter = in.letter();
  if (letter != 'S' && letter != 'P') in.fail(errc::bad_field);
  return static_cast<target>(letter);
}

template <class Message>
result<Message> decode_named(byte_view body) {
  byte_reader in(body);
  Message message;
  message.target = read_target(in);
  message.name = in.cstring();
  return in.finish(message);
}

template <class Message>
std::string encode_named(const Message& message) {
  writer out;
  return out.begin(Message::type).letter(static_cast<char>(message.target)).cstring(message.name).finish().take();
}

std::string encode_text(char type, std::string_view text) {
  writer out;
  return out.begin(type).cstring(text).finish().take();
}

std::string encode_raw(char type, std::string_view data) {
  writer out;
  return out.begin(type).bytes(data).finish().take();
}

}  // namespace

result<bind> bind::decode(byte_view body) {
  byte_reader in(body);
  bind message;
  message.portal = in.cstring();
  message.statement = in.cstring();
  message.parameter_formats = read_formats(in);
  message.parameters = read_values(in);
  message.result_formats = read_formats(in);
  return in.finish(std::move(message));
}

std::string bind::encode() const {
  writer out;
  out.begin(type).cstring(portal).cstring(statement);
  write_formats(out, parameter_formats);
  write_values(out, parameters);
  write_formats(out, result_formats);
  return out.finish().take();
}

result<close> close::decode(byte_view body) { return decode_named<close>(body); }
std::string close::encode() const { return encode_named(*this); }

result<describe> describe::decode(byte_view body) { return decode_named<describe>(body); }
std::string describe::encode() const { return encode_named(*this); }

result<copy_data> copy_data::decode(byte_view body) { return copy_data{as_text(body)}; }
std::string copy_data::encode() const { return encode_raw(type, data); }

result<copy_fail> copy_fail::decode(byte_view body) {
  byte_reader in(body);
  const auto reason = in.cstring();
  return in.finish(copy_fail{reason});
}
std::string copy_fail::encode() const { return encode_text(type, reason); }

result<execute> execute::decode(byte_view body) {
  byte_reader in(body);
  execute message;
  message.portal = in.cstring();
  message.most_rows = in.i32();
  return in.finish(message);
}

std::string execute::encode() const {
  writer out;
  return out.begin(type).cstring(portal).i32(most_rows).finish().take();
}

result<function_call> function_call::decode(byte_view body) {
  byte_reader in(body);
  function_call message;
  message.function = in.u32();
  message.argument_formats = read_formats(in);
  message.arguments = read_values(in);
  message.result_format = in.i16();
  return in.finish(std::move(message));
}

std::string function_call::encode() const {
  writer out;
  out.begin(type).u32(function);
  write_formats(out, argument_formats);
  write_values(out, arguments);
  return out.i16(result_format).finish().take();
}

result<parse> parse::decode(byte_view body) {
  byte_reader in(body);
  parse message;
  message.statement = in.cstring();
  message.query = in.cstring();
  message.parameter_types = read_oids(in);
  return in.finish(std::move(message));
}

std::string parse::encode() const {
  writer out;
  out.begin(type).cstring(statement).cstring(query);
  write_oids(out, parameter_types);
  return out.finish().take();
}

result<query> query::decode(byte_view body) {
  byte_reader in(body);
  const auto text = in.cstring();
  return in.finish(query{text});
}
std::string query::encode() const { return encode_text(type, text); }

result<password> password::decode(byte_view body) {
  byte_reader in(body);
  const auto text = in.cstring();
  return in.finish(password{text});
}
std::string password::encode() const { return encode_text(type, text); }

result<sasl_initial_response> sasl_initial_response::decode(byte_view body) {
  byte_reader in(body);
  sasl_initial_response message;
  message.mechanism = in.cstring();
  message.data = in.value();
  return in.finish(message);
}

std::string sasl_initial_response::encode() const {
  writer out;
  return out.begin(type).cstring(mechanism).value(data).finish().take();
}

result<sasl_response> sasl_response::decode(byte_view body) { return sasl_response{as_text(body)}; }
std::string sasl_response::encode() const { return encode_raw(type, data); }

result<gss_response> gss_response::decode(byte_view body) { return gss_response{as_text(body)}; }
std::string gss_response::encode() const { return encode_raw(type, data); }

}  // namespace pgwire::frontend
