#include "protocol/hex.hpp"

#include <boost/algorithm/hex.hpp>
#include <iterator>

namespace pgwire {

std::string to_hex(std::string_view bytes) {
  std::string digits;
  digits.reserve(2 * bytes.size());
  boost::algorithm::hex_lower(bytes, std::back_inserter(digits));
  return digits;
}

std::optional<std::string> from_hex(std::string_view digits) try {
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  boost::algorithm::unhex(digits, std::back_inserter(bytes));
  return bytes;
} catch (const boost::algorithm::hex_decode_error&) {
  return std::nullopt;
}

}  // namespace pgwire
