// What a server sends, protocol 3.0 and 3.2 (PostgreSQL docs, 55.7).
//
// Each struct is a view: texts point into the body it was decoded from, or into what the caller set. Values
// may hold any bytes. `decode` takes a body without type and length; errors: truncated, missing_terminator,
// bad_field, trailing_bytes. `encode` gives the whole message; texts that end in a zero byte must not hold
// one, lists have at most 65,535 entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/byte_reader.hpp"
#include "protocol/cancel_key.hpp"
#include "protocol/error.hpp"
#include "protocol/message_type.hpp"

namespace pgwire {

/// A whole BackendKeyData message.
std::string encode_backend_key_data(const cancel_key& key);

}  // namespace pgwire

namespace pgwire::backend {

/// A message that has a type and nothing else.
template <char Type>
struct empty_message {
  static constexpr char type = Type;
  static result<empty_message> decode(byte_view body) { return byte_reader(body).finish(empty_message{}); }
  [[nodiscard]] std::string encode() const { return {Type, 0, 0, 0, 4}; }
};
using bind_complete = empty_message<backend_type::bind_complete>;
using close_complete = empty_message<backend_type::close_complete>;
using copy_done = empty_message<backend_type::copy_done>;
using empty_query_response = empty_message<backend_type::empty_query_response>;
using no_data = empty_message<backend_type::no_data>;
using parse_complete = empty_message<backend_type::parse_complete>;
using portal_suspended = empty_message<backend_type::portal_suspended>;

/// All the messages of type R.
struct authentication {
  static constexpr char type = backend_type::authentication;
  enum class kind : std::uint32_t {
    ok = 0,
    kerberos_v5 = 2,
    cleartext_password = 3,
    md5_password = 5,
    scm_credential = 6,
    gss = 7,
    gss_continue = 8,
    sspi = 9,
    sasl = 10,
    sasl_continue = 11,
    sasl_final = 12,
  };
  kind request = kind::ok;
  std::string_view data;                     ///< md5: the salt of 4 bytes; *_continue, sasl_final: the server's words
  std::vector<std::string_view> mechanisms;  ///< sasl
  static result<authentication> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct backend_key_data {
  static constexpr char type = backend_type::backend_key_data;
  cancel_key key;
  /// Also bad_field: a secret of less than 4 or more than 256 bytes.
  static result<backend_key_data> decode(byte_view body);
  [[nodiscard]] std::string encode() const { return encode_backend_key_data(key); }
};

struct command_complete {
  static constexpr char type = backend_type::command_complete;
  std::string_view tag;
  static result<command_complete> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct copy_data {
  static constexpr char type = backend_type::copy_data;
  std::string_view data;
  static result<copy_data> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

/// CopyInResponse, CopyOutResponse, CopyBothResponse.
template <char Type>
struct copy_response {
  static constexpr char type = Type;
  std::uint8_t format = 0;  ///< 0 text, 1 binary
  std::vector<std::int16_t> column_formats;
  static result<copy_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};
using copy_in_response = copy_response<backend_type::copy_in_response>;
using copy_out_response = copy_response<backend_type::copy_out_response>;
using copy_both_response = copy_response<backend_type::copy_both_response>;

struct data_row {
  static constexpr char type = backend_type::data_row;
  std::vector<std::optional<std::string_view>> columns;
  static result<data_row> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

/// ErrorResponse and NoticeResponse with all their fields. To judge an error, see parse_error_fields.
template <char Type>
struct report {
  static constexpr char type = Type;
  std::vector<std::pair<char, std::string_view>> fields;
  static result<report> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};
using error_response = report<backend_type::error_response>;
using notice_response = report<backend_type::notice_response>;

struct function_call_response {
  static constexpr char type = backend_type::function_call_response;
  std::optional<std::string_view> value;
  static result<function_call_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

/// To build one for a client, see encode_negotiate.
struct negotiate_protocol_version {
  static constexpr char type = backend_type::negotiate_protocol_version;
  std::uint32_t newest = 0;  ///< a whole version number, major in the upper 16 bits
  std::vector<std::string_view> unknown_options;
  static result<negotiate_protocol_version> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct notification_response {
  static constexpr char type = backend_type::notification_response;
  std::int32_t process_id = 0;
  std::string_view channel;
  std::string_view payload;
  static result<notification_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct parameter_description {
  static constexpr char type = backend_type::parameter_description;
  std::vector<std::uint32_t> types;  ///< OIDs
  static result<parameter_description> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct parameter_status {
  static constexpr char type = backend_type::parameter_status;
  std::string_view name;
  std::string_view value;
  static result<parameter_status> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

enum class transaction_status : char { idle = 'I', in_transaction = 'T', failed = 'E' };

struct ready_for_query {
  static constexpr char type = backend_type::ready_for_query;
  transaction_status status = transaction_status::idle;
  static result<ready_for_query> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct row_description {
  static constexpr char type = backend_type::row_description;
  struct field {
    std::string_view name;
    std::uint32_t table = 0;  ///< OID, or 0
    std::int16_t column = 0;  ///< of that table, or 0
    std::uint32_t type_oid = 0;
    std::int16_t type_size = 0;
    std::int32_t type_modifier = -1;
    std::int16_t format = 0;
    friend bool operator==(const field&, const field&) = default;
  };
  std::vector<field> fields;
  static result<row_description> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

}  // namespace pgwire::backend
