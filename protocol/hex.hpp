// Bytes as hexadecimal digits and back: RFC 4648, section 8, but for the case of the letters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgwire {

/// Two lower-case digits for each byte.
std::string to_hex(std::string_view bytes);

/// The bytes; letters of either case are taken. Nothing: an odd number of characters, or one that is no digit.
std::optional<std::string> from_hex(std::string_view digits);

}  // namespace pgwire
