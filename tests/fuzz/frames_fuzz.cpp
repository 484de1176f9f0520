// A stream in chunks (the first byte says how large) gives the visits and the verdict of the stream in one
// piece.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "protocol/byte_reader.hpp"
#include "protocol/frame_scanner.hpp"

namespace {

struct verdict {
  std::string visits;
  std::optional<pgwire::errc> error;
  friend bool operator==(const verdict&, const verdict&) = default;
};

verdict scan(const pgwire::frame_rules& rules, pgwire::byte_view stream, std::size_t chunk_size) {
  pgwire::frame_scanner scanner(rules);
  verdict all;
  while (!stream.empty() && !all.error) {
    const auto chunk = stream.first(std::min(chunk_size, stream.size()));
    stream = stream.subspan(chunk.size());
    const auto outcome = scanner.scan(chunk, [&](const pgwire::frame& frame) {
      all.visits += frame.type + std::to_string(frame.body_length) + (frame.truncated ? '>' : ':');
      all.visits += pgwire::as_text(frame.body);
    });
    if (outcome.accepted > chunk.size() || (!outcome.error && outcome.accepted != chunk.size())) std::abort();
    all.error = outcome.error;
  }
  return all;
}

pgwire::frame_rules looking(pgwire::frame_rules rules) {
  for (std::size_t type = 0; type < rules.of.size(); ++type) {
    rules.of[type].look = static_cast<pgwire::frame_rules::attention>(type % 3);
  }
  return rules;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const auto client = looking(pgwire::frontend_rules());
  static const auto server = looking(pgwire::backend_rules());
  if (size < 2) return 0;
  const auto stream = std::as_bytes(std::span(data, size)).subspan(1);
  for (const auto* rules : {&client, &server}) {
    if (scan(*rules, stream, stream.size()) != scan(*rules, stream, data[0] + 1u)) std::abort();
  }
  return 0;
}
