// Any bytes can be judged, and what the scan refuses the parser finds harmless.
#include "protocol/statement.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace pgwire;
  const std::string text(data, data + size);
  const auto judged = judge(text);
  if (may_matter(text)) return 0;
  if (judged != verdict{}) std::abort();
  auto read = read_statements(text);
  if (!read) return 0;
  // That a text can be read in two ways, or in one only, is no effect by itself.
  constexpr trait_set readings{trait::ambiguous, trait::plain_only, trait::escaped_only};
  if (read->traits.has_any(readings)) read->traits = read->traits.without(readings).without({trait::unseen});
  if (!read->harmless()) std::abort();
  return 0;
}
