// What a client sends after its StartupMessage, protocol 3.0 and 3.2 (PostgreSQL docs, 55.7).
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
#include <vector>

#include "protocol/byte_reader.hpp"
#include "protocol/error.hpp"
#include "protocol/message_type.hpp"

namespace pgwire::frontend {

/// A message that has a type and nothing else.
template <char Type>
struct empty_message {
  static constexpr char type = Type;
  static result<empty_message> decode(byte_view body) { return byte_reader(body).finish(empty_message{}); }
  [[nodiscard]] std::string encode() const { return {Type, 0, 0, 0, 4}; }
};
using copy_done = empty_message<frontend_type::copy_done>;
using flush = empty_message<frontend_type::flush>;
using sync = empty_message<frontend_type::sync>;
using terminate = empty_message<frontend_type::terminate>;

struct bind {
  static constexpr char type = frontend_type::bind;
  std::string_view portal;
  std::string_view statement;
  std::vector<std::int16_t> parameter_formats;
  std::vector<std::optional<std::string_view>> parameters;
  std::vector<std::int16_t> result_formats;
  static result<bind> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

/// Of Close and Describe: whether `name` is a prepared statement's or a portal's.
enum class target : char { statement = 'S', portal = 'P' };

struct close {
  static constexpr char type = frontend_type::close;
  frontend::target target = frontend::target::statement;
  std::string_view name;
  static result<close> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct describe {
  static constexpr char type = frontend_type::describe;
  frontend::target target = frontend::target::statement;
  std::string_view name;
  static result<describe> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct copy_data {
  static constexpr char type = frontend_type::copy_data;
  std::string_view data;
  static result<copy_data> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct copy_fail {
  static constexpr char type = frontend_type::copy_fail;
  std::string_view reason;
  static result<copy_fail> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct execute {
  static constexpr char type = frontend_type::execute;
  std::string_view portal;
  std::int32_t most_rows = 0;  ///< 0: all
  static result<execute> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct function_call {
  static constexpr char type = frontend_type::function_call;
  std::uint32_t function = 0;  ///< OID
  std::vector<std::int16_t> argument_formats;
  std::vector<std::optional<std::string_view>> arguments;
  std::int16_t result_format = 0;
  static result<function_call> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct parse {
  static constexpr char type = frontend_type::parse;
  std::string_view statement;
  std::string_view query;
  std::vector<std::uint32_t> parameter_types;  ///< OIDs
  static result<parse> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct query {
  static constexpr char type = frontend_type::query;
  std::string_view text;
  static result<query> decode(byte_view body);
  /// The text, whatever follows its end: that is for the server to refuse.
  static std::string_view text_in(byte_view body) {
    const auto all = as_text(body);
    return all.substr(0, all.find('\0'));
  }
  [[nodiscard]] std::string encode() const;
};

// The following four share a type byte; which of them a client means follows from what it was asked.

struct password {
  static constexpr char type = frontend_type::authentication;
  std::string_view text;  ///< or the MD5 answer
  static result<password> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct sasl_initial_response {
  static constexpr char type = frontend_type::authentication;
  std::string_view mechanism;
  std::optional<std::string_view> data;
  static result<sasl_initial_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

struct sasl_response {
  static constexpr char type = frontend_type::authentication;
  std::string_view data;
  static result<sasl_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

/// GSS and SSPI.
struct gss_response {
  static constexpr char type = frontend_type::authentication;
  std::string_view data;
  static result<gss_response> decode(byte_view body);
  [[nodiscard]] std::string encode() const;
};

}  // namespace pgwire::frontend
