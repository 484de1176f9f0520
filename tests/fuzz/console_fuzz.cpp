// A console client's bytes, in chunks of a size that the first byte gives: whatever they are, every answer is written
// in bounded pieces, and nothing is asked twice. The same bytes are read as a text of commands.
#include <cstdlib>
#include <string>

#include "proxy/console/conversation.hpp"
#include "proxy/console/layouts.hpp"

namespace {

using namespace proxy::console;

answer carry_out(const command& what) {
  answer made;
  if (what.what != verb::show) return made;
  const auto& heads = columns_of(what.shown);
  made.rows = table{heads, key_of(what.shown), 40,
                    [&heads](std::size_t at, row& into) { into.assign(heads.size(), std::to_string(at * 7919 % 40)); }};
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  static_cast<void>(parse({reinterpret_cast<const char*>(data) + 1, size - 1}, "root"));

  conversation talk("root");
  const std::size_t piece = data[0] / 2U + 1U;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    talk.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    for (;;) {
      std::string out;
      const auto step = talk.advance(out);
      if (out.size() > conversation::most_written + 1024 * 1024) std::abort();
      if (step == conversation::step::terminated || step == conversation::step::fault) return 0;
      if (step == conversation::step::starved) break;
      if (step != conversation::step::asks) continue;
      talk.keep();
      talk.answer_with(carry_out(talk.asked()));
    }
  }
  return 0;
}
