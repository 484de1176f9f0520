#include "proxy/session/slow_statement.hpp"

#include "protocol/redacted_statement.hpp"

namespace proxy {
namespace {

constexpr std::size_t most_shown = std::size_t{1} * 1024;

}  // namespace

void log_slow(desk::own_level own, const std::string& session, clock::duration took, std::string_view text) {
  const std::chrono::duration<double, std::milli> time = took;
  const std::string shown = text.empty() ? "of a text that was not kept" : pgwire::without_values(text, most_shown);
  desk::say_of(own, spdlog::level::info, "{}: duration: {:.3f} ms  statement: {}", session, time.count(), shown);
}

}  // namespace proxy
