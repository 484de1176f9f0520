// ErrorResponse and NoticeResponse (PostgreSQL docs, 55.8): every field optional, since servers and poolers
// in between leave out what they please.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace pgwire {

/// What the lodge itself has to say. Empty fields are left out, but severity, code and message always go.
struct error_report {
  std::string severity = "FATAL";
  std::string code;  ///< SQLSTATE
  std::string message;
  std::string detail;
  std::string hint;
};

/// A report of severity FATAL in the words of the error table.
error_report report_for(errc code);

/// Whole messages, type byte and length included.
std::string encode_error(const error_report& report);
std::string encode_notice(const error_report& report);

/// The fields by which an error can be judged, as views into the message's body.
struct error_fields {
  std::string_view severity;  ///< field V, else S; empty if neither is there
  std::string_view code;      ///< empty if the field is missing
  std::string_view message;
  std::string_view detail;
  std::string_view hint;
};
/// Reads the body of an ErrorResponse or NoticeResponse. Unknown fields are skipped, as the protocol demands.
/// Errors: missing_terminator, trailing_bytes.
result<error_fields> parse_error_fields(std::span<const std::byte> body);

/// FATAL or PANIC: the connection ends after it. A cut or strange field list is not fatal.
bool is_fatal(const error_fields& fields);

}  // namespace pgwire
