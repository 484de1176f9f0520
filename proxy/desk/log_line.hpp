// How a line is written that has something to do with a client: what a client can cause as often as it likes is bounded
// (log_repeats), and what belongs to a session heeds the log level that its tenant may have of its own.
#pragma once

#include <spdlog/spdlog.h>

#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace proxy::desk {

/// A format that is checked when it is compiled, and where it stands.
template <class... Args>
struct placed_format {
  template <class Text>
  consteval placed_format(const Text& text, std::source_location at = std::source_location::current())  // NOLINT
      : words(text), where(at) {}
  spdlog::format_string_t<Args...> words;
  std::source_location where;
};
template <class... Args>
using format_of = placed_format<std::type_identity_t<Args>...>;

/// A line that a client can cause as often as it likes.
template <class... Args>
void say_bounded(spdlog::level::level_enum level, format_of<Args...> text, Args&&... args) {
  const spdlog::source_loc from(text.where.file_name(), static_cast<int>(text.where.line()),
                                text.where.function_name());
  spdlog::default_logger_raw()->log(from, level, text.words, std::forward<Args>(args)...);
}

/// What the console has set for one tenant; nothing: it is logged as everybody is.
using own_level = std::optional<spdlog::level::level_enum>;

/// Where lines go whose weight has been looked at already.
spdlog::logger& log_of_any_level();

/// Whether a line about a session would be written at all: for who has to gather what it says.
inline bool is_said(own_level own, spdlog::level::level_enum level) {
  return own ? level >= *own : spdlog::default_logger_raw()->should_log(level);
}

/// A line about a session.
template <class... Args>
void say_of(own_level own, spdlog::level::level_enum level, spdlog::format_string_t<Args...> text, Args&&... args) {
  if (!own) {
    spdlog::default_logger_raw()->log(level, text, std::forward<Args>(args)...);
  } else if (level >= *own) {
    log_of_any_level().log(level, text, std::forward<Args>(args)...);
  }
}

/// Both.
template <class... Args>
void say_bounded_of(own_level own, spdlog::level::level_enum level, format_of<Args...> text, Args&&... args) {
  if (own && level < *own) return;
  const spdlog::source_loc from(text.where.file_name(), static_cast<int>(text.where.line()),
                                text.where.function_name());
  spdlog::logger& to = own ? log_of_any_level() : *spdlog::default_logger_raw();
  to.log(from, level, text.words, std::forward<Args>(args)...);
}

}  // namespace proxy::desk
