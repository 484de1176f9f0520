// Any text: nothing of what stands between two plain quotes comes out, and no more than was asked for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/redacted_statement.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t most = 256;
  constexpr std::string_view left_out = " ...";
  constexpr std::string_view secret = "\x01secret\x01";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (pgwire::without_values(text, most).size() > most + left_out.size()) std::abort();
  if (text.find('\x01') != std::string_view::npos) return 0;
  // Whatever stands behind a literal, and in front of a text that begins anew, the literal itself stays inside.
  const std::string around = "SELECT '" + std::string(secret) + "'" + std::string(text);
  if (pgwire::without_values(around, most).find(secret) != std::string::npos) std::abort();
  return 0;
}
