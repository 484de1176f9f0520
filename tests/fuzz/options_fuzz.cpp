// What parses is written so that it parses to the same again.
#include <cstdlib>

#include "protocol/startup_options.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace pgwire;
  const auto parsed = parse_options(std::string(data, data + size));
  if (!parsed) return 0;
  for (const auto& [name, value] : parsed->settings) {
    if (name.empty() || canonical_setting_name(name).empty()) std::abort();
  }
  const auto again = parse_options(encode_options(*parsed));
  if (!again || again->settings != parsed->settings || again->other != parsed->other) std::abort();
  return 0;
}
