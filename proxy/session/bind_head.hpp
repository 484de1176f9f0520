// The beginning of a Bind, which is all of it that is looked at while its statement leaves the session alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/byte_reader.hpp"
#include "protocol/message_type.hpp"
#include "protocol/writer.hpp"

namespace proxy {

/// The two names that a Bind begins with, and what follows them.
struct bind_head {
  std::string_view portal;
  std::string_view statement;
  std::string_view rest;
};

inline std::optional<bind_head> read_bind_head(pgwire::byte_view body) {
  pgwire::byte_reader reader(body);
  bind_head head;
  head.portal = reader.cstring();
  head.statement = reader.cstring();
  head.rest = reader.remaining();
  if (!reader.ok()) return std::nullopt;
  return head;
}

inline std::string bind_with(const bind_head& head, std::string_view statement) {
  pgwire::writer out;
  out.begin(pgwire::frontend_type::bind).cstring(head.portal).cstring(statement).bytes(head.rest).finish();
  return out.take();
}

}  // namespace proxy
