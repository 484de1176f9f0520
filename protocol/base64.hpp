// Base64 as SCRAM writes it: RFC 4648, section 4, with padding, without line breaks.
//
// Strict on the way in: what is accepted is exactly what `base64_encode` gives for some bytes, so that one value
// has one text. PostgreSQL's decoder also takes bits that belong to no byte; no client or server sends any.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgwire {

std::string base64_encode(std::span<const std::byte> bytes);

/// Writes into `out`, which bounds what is taken, and gives the number of bytes. Nothing: not Base64, or more than
/// `out` holds; then `out` may be partly written.
std::optional<std::size_t> base64_decode(std::string_view text, std::span<std::byte> out);

}  // namespace pgwire
