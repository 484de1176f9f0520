// A line of the usage ledger: whatever stands there, it is read or refused with a reason; and what was read is written
// so that it reads the same again.
#include <algorithm>
#include <cstdlib>
#include <span>
#include <string>

#include "protocol/byte_reader.hpp"
#include "proxy/desk/usage_line.hpp"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace proxy::desk;
  const auto line = parse_usage_line(pgwire::as_text(std::as_bytes(std::span(data, size))));
  if (!line) {
    must(!line.error().empty());
    return 0;
  }
  must(line->run.size() == 16 && line->interval > 0 && line->tenant.size() <= 63);
  for (const auto& [name, value] : all_usage_counts) must(line->counts.*value <= largest_usage_count);
  const std::string text = to_json(*line);
  must(text.size() <= longest_usage_line && !text.contains('\n'));
  const auto again = parse_usage_line(text);
  must(again && *again == *line);
  return 0;
}
