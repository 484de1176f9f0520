#include "proxy/desk/log.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <ctime>
#include <memory>

namespace proxy::desk {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// How many bytes the UTF-8 sequence at the start of `text` has; 0 if it is none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t count) {
    if (text.size() <= count) return false;
    for (std::size_t i = 1; i <= count; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!follows(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!follows(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

// "2026-11-23T09:30:00" in UTC, and the microseconds of that second as six digits.
struct time_text {
  std::string seconds, micros;
};
time_text in_utc(spdlog::log_clock::time_point when) {
  using namespace std::chrono;
  const auto since = when.time_since_epoch();
  const std::time_t whole = duration_cast<seconds>(since).count();
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> stamp{};
  const std::size_t n = std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string micros = std::to_string(duration_cast<microseconds>(since).count() % 1'000'000);
  micros.insert(0, 6 - micros.size(), '0');
  return {std::string(stamp.data(), n), std::move(micros)};
}

// {"time":"…","level":"…","message":"…"}, one object a line.
void append_json(const spdlog::details::log_msg& message, std::string& line) {
  const time_text time = in_utc(message.time);
  const auto level = spdlog::level::to_string_view(message.level);
  line += "{\"time\":\"" + time.seconds + "." + time.micros + "Z\",\"level\":\"";
  line.append(level.data(), level.size());
  line += "\",\"message\":\"";
  append_json_escaped({message.payload.data(), message.payload.size()}, line);
  line += "\"}\n";
}

// time, level, message. Names come from clients: a control character must not start a line of its own.
void append_text(const spdlog::details::log_msg& message, std::string& line) {
  const time_text time = in_utc(message.time);
  const auto level = spdlog::level::to_string_view(message.level);
  line += time.seconds + "." + time.micros.substr(0, 3) + "Z ";
  line.append(level.data(), level.size());
  line += ' ';
  for (const char c : std::string_view(message.payload.data(), message.payload.size())) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      line += "\\x";
      line += hex_digits[byte >> 4];
      line += hex_digits[byte & 15];
    } else {
      line += c;
    }
  }
  line += '\n';
}

class line_formatter final : public spdlog::formatter {
 public:
  explicit line_formatter(log_format format) : format_(format) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    std::string line;
    format_ == log_format::json ? append_json(message, line) : append_text(message, line);
    out.append(line.data(), line.data() + line.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<line_formatter>(format_);
  }

 private:
  log_format format_;
};

}  // namespace

void append_json_escaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    std::size_t taken = 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (c < 0x20 || c == 0x7F) {
          out += "\\u00";
          out += hex_digits[c >> 4];
          out += hex_digits[c & 15];
        } else if (const std::size_t length = utf8_length(text); length != 0) {
          out += text.substr(0, length);
          taken = length;
        } else {
          out += "\\ufffd";
        }
    }
    text.remove_prefix(taken);
  }
}

void configure_log(std::string_view level, log_format format) {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("pglodge", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    spdlog::set_default_logger(made);
    return made;
  }();
  logger->set_formatter(std::make_unique<line_formatter>(format));
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::trace);
}

}  // namespace proxy::desk
