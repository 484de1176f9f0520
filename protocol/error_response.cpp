#include "protocol/error_response.hpp"

#include "protocol/byte_reader.hpp"
#include "protocol/message_type.hpp"
#include "protocol/writer.hpp"

namespace pgwire {
namespace {

std::string encode(char type, const error_report& report) {
  writer out;
  out.begin(type).letter('S').cstring(report.severity).letter('V').cstring(report.severity);
  out.letter('C').cstring(report.code).letter('M').cstring(report.message);
  if (!report.detail.empty()) out.letter('D').cstring(report.detail);
  if (!report.hint.empty()) out.letter('H').cstring(report.hint);
  return out.u8(0).finish().take();
}

}  // namespace

error_report report_for(errc code) {
  const auto& info = describe(code);
  return {.severity = "FATAL",
          .code = std::string(info.sqlstate),
          .message = std::string(info.text),
          .detail = {},
          .hint = {}};
}

std::string encode_error(const error_report& report) { return encode(backend_type::error_response, report); }
std::string encode_notice(const error_report& report) { return encode(backend_type::notice_response, report); }

result<error_fields> parse_error_fields(std::span<const std::byte> body) {
  error_fields fields;
  std::string_view localized_severity;
  byte_reader in(body);
  while (in.ok()) {
    if (in.at_end()) in.fail(errc::missing_terminator);
    const char field = in.letter();
    if (field == '\0') break;
    const auto text = in.cstring();
    switch (field) {
      case 'S': localized_severity = text; break;
      case 'V': fields.severity = text; break;
      case 'C': fields.code = text; break;
      case 'M': fields.message = text; break;
      case 'D': fields.detail = text; break;
      case 'H': fields.hint = text; break;
      default: break;
    }
  }
  if (fields.severity.empty()) fields.severity = localized_severity;
  return in.finish(fields);
}

bool is_fatal(const error_fields& fields) { return fields.severity == "FATAL" || fields.severity == "PANIC"; }

}  // namespace pgwire
