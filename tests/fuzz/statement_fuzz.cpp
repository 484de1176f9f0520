// Any bytes can be judged, and what the scan refuses the parser finds harmless.
#include "protocol/statement.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace pgwire;
  const std::string text(data, data + size);
  const auto judged = judge(text);
  if (may_matter(text)) return 0;
  if (judged != verdict{}) std::abort();
  const auto read = read_statements(text);
  if (read && !read->harmless()) std::abort();
  return 0;
}
