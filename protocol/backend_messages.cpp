#include "protocol/backend_messages.hpp"

#include "protocol/message_lists.hpp"
#include "protocol/writer.hpp"

namespace pgwire {

std::string encode_backend_key_data(const cancel_key& key) {
  writer out;
  out.begin(backend_type::backend_key_data).i32(key.process_id()).bytes(as_text(key.secret()));
  return out.finish().take();
}

}  // namespace pgwire

namespace pgwire::backend {

result<authentication> authentication::decode(byte_view body) {
  byte_reader in(body);
  authentication message;
  message.request = static_cast<kind>(in.u32());
  switch (message.request) {
    case kind::ok:
    case kind::kerberos_v5:
    case kind::cleartext_password:
    case kind::scm_credential:
    case kind::gss:
    case kind::sspi: break;
    case kind::md5_password: message.data = in.bytes(4); break;
    case kind::gss_continue:
    case kind::sasl_continue:
    case kind::sasl_final: message.data = in.remaining(); break;
    case kind::sasl:
      for (auto name = in.cstring(); !name.empty(); name = in.cstring()) message.mechanisms.push_back(name);
      break;
    default: in.fail(errc::bad_field);
  }
  return in.finish(std::move(message));
}

std::string authentication::encode() const {
  writer out;
  out.begin(type).u32(static_cast<std::uint32_t>(request)).bytes(data);
  if (request == kind::sasl) {
    for (const auto mechanism : mechanisms) out.cstring(mechanism);
    out.u8(0);
  }
  return out.finish().take();
}

result<backend_key_data> backend_key_data::decode(byte_view body) {
  byte_reader in(body);
  const auto process_id = in.i32();
  const auto secret = in.remaining();
  if (secret.size() < 4 || secret.size() > cancel_key::most_secret_bytes) in.fail(errc::bad_field);
  return in.finish(backend_key_data{cancel_key(process_id, as_bytes(secret))});
}

result<command_complete> command_complete::decode(byte_view body) {
  byte_reader in(body);
  const auto tag = in.cstring();
  return in.finish(command_complete{tag});
}

std::string command_complete::encode() const {
  writer out;
  return out.begin(type).cstring(tag).finish().take();
}

result<copy_data> copy_data::decode(byte_view body) { return copy_data{as_text(body)}; }

std::string copy_data::encode() const {
  writer out;
  return out.begin(type).bytes(data).finish().take();
}

template <char Type>
result<copy_response<Type>> copy_response<Type>::decode(byte_view body) {
  byte_reader in(body);
  copy_response message;
  message.format = in.u8();
  if (message.format > 1) in.fail(errc::bad_field);
  message.column_formats = read_formats(in);
  return in.finish(std::move(message));
}

template <char Type>
std::string copy_response<Type>::encode() const {
  writer out;
  out.begin(type).u8(format);
  write_formats(out, column_formats);
  return out.finish().take();
}

template struct copy_response<backend_type::copy_in_response>;
template struct copy_response<backend_type::copy_out_response>;
template struct copy_response<backend_type::copy_both_response>;

result<data_row> data_row::decode(byte_view body) {
  byte_reader in(body);
  auto columns = read_values(in);
  return in.finish(data_row{std::move(columns)});
}

std::string data_row::encode() const {
  writer out;
  out.begin(type);
  write_values(out, columns);
  return out.finish().take();
}

template <char Type>
result<report<Type>> report<Type>::decode(byte_view body) {
  byte_reader in(body);
  report message;
  while (in.ok()) {
    if (in.at_end()) in.fail(errc::missing_terminator);
    const char field = in.letter();
    if (field == '\0') break;
    message.fields.emplace_back(field, in.cstring());
  }
  return in.finish(std::move(message));
}

template <char Type>
std::string report<Type>::encode() const {
  writer out;
  out.begin(type);
  for (const auto& [field, text] : fields) out.letter(field).cstring(text);
  return out.u8(0).finish().take();
}

template struct report<backend_type::error_response>;
template struct report<backend_type::notice_response>;

result<function_call_response> function_call_response::decode(byte_view body) {
  byte_reader in(body);
  const auto value = in.value();
  return in.finish(function_call_response{value});
}

std::string function_call_response::encode() const {
  writer out;
  return out.begin(type).value(value).finish().take();
}

result<negotiate_protocol_version> negotiate_protocol_version::decode(byte_view body) {
  byte_reader in(body);
  negotiate_protocol_version message;
  message.newest = in.u32();
  message.unknown_options = read_list(in, in.u32(), [&] { return in.cstring(); });
  return in.finish(std::move(message));
}

std::string negotiate_protocol_version::encode() const {
  writer out;
  out.begin(type).u32(newest).u32(static_cast<std::uint32_t>(unknown_options.size()));
  for (const auto option : unknown_options) out.cstring(option);
  return out.finish().take();
}

result<notification_response> notification_response::decode(byte_view body) {
  byte_reader in(body);
  notification_response message;
  message.process_id = in.i32();
  message.channel = in.cstring();
  message.payload = in.cstring();
  return in.finish(message);
}

std::string notification_response::encode() const {
  writer out;
  return out.begin(type).i32(process_id).cstring(channel).cstring(payload).finish().take();
}

result<parameter_description> parameter_description::decode(byte_view body) {
  byte_reader in(body);
  auto types = read_oids(in);
  return in.finish(parameter_description{std::move(types)});
}

std::string parameter_description::encode() const {
  writer out;
  out.begin(type);
  write_oids(out, types);
  return out.finish().take();
}

result<parameter_status> parameter_status::decode(byte_view body) {
  byte_reader in(body);
  parameter_status message;
  message.name = in.cstring();
  message.value = in.cstring();
  return in.finish(message);
}

std::string parameter_status::encode() const {
  writer out;
  return out.begin(type).cstring(name).cstring(value).finish().take();
}

result<ready_for_query> ready_for_query::decode(byte_view body) {
  byte_reader in(body);
  const char letter = in.letter();
  if (letter != 'I' && letter != 'T' && letter != 'E') in.fail(errc::bad_field);
  return in.finish(ready_for_query{static_cast<transaction_status>(letter)});
}

std::string ready_for_query::encode() const {
  writer out;
  return out.begin(type).letter(static_cast<char>(status)).finish().take();
}

result<row_description> row_description::decode(byte_view body) {
  byte_reader in(body);
  row_description message;
  message.fields = read_list(in, in.u16(), [&] {
    field one;
    one.name = in.cstring();
    one.table = in.u32();
    one.column = in.i16();
    one.type_oid = in.u32();
    one.type_size = in.i16();
    one.type_modifier = in.i32();
    one.format = in.i16();
    return one;
  });
  return in.finish(std::move(message));
}

std::string row_description::encode() const {
  writer out;
  out.begin(type).count(fields.size());
  for (const auto& one : fields) {
    out.cstring(one.name).u32(one.table).i16(one.column).u32(one.type_oid);
    out.i16(one.type_size).i32(one.type_modifier).i16(one.format);
  }
  return out.finish().take();
}

}  // namespace pgwire::backend
