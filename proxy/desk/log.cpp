#include "proxy/desk/log.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>

#include "proxy/desk/log_line.hpp"
#include "proxy/desk/log_outlet.hpp"
#include "proxy/desk/log_repeats.hpp"

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

// As sd-daemon(3): the priorities of syslog.
char priority_of(int level) {
  switch (level) {
    case spdlog::level::critical: return '2';
    case spdlog::level::err: return '3';
    case spdlog::level::warn: return '4';
    case spdlog::level::info: return '6';
    default: return '7';
  }
}

std::string_view word_of(int level) {
  const auto word = spdlog::level::to_string_view(static_cast<spdlog::level::level_enum>(level));
  return {word.data(), word.size()};
}

// {"time":"…","level":"…","message":"…"}, one object a line.
void append_json(const log_line_text& message, std::string& line) {
  const time_text time = in_utc(message.when);
  line += "{\"time\":\"" + time.seconds + "." + time.micros + "Z\",\"level\":\"";
  line += word_of(message.weight);
  line += "\",\"message\":\"";
  append_json_escaped(message.text, line);
  line += "\"}\n";
}

// Names come from clients: a control character must not start a line of its own.
void append_plain(std::string_view text, std::string& line) {
  for (const char c : text) {
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
  line_formatter(log_format format, bool to_journal) : format_(format), to_journal_(to_journal) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string line = format_line(
        {message.level, text, std::chrono::time_point_cast<clock::duration>(message.time)}, format_, to_journal_);
    out.append(line.data(), line.data() + line.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<line_formatter>(format_, to_journal_);
  }

 private:
  using clock = std::chrono::system_clock;
  log_format format_;
  bool to_journal_;
};

// How many lines from one place are written in one window of log_repeats. Warnings tell of a state, which lasts; a line
// of less weight tells of one session, and a few of those are wanted each.
constexpr std::size_t most_warnings = 1;
constexpr std::size_t most_others = 20;

class stderr_sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  enum class which : std::uint8_t { due, all };
  void tell(which ones) {
    const std::scoped_lock lock(mutex_);
    const auto now = log_repeats::clock::now();
    for (const auto& one : ones == which::all ? repeats_.rest(now) : repeats_.due(now)) {
      write(spdlog::details::log_msg({}, static_cast<spdlog::level::level_enum>(one.level), one.text));
    }
    tell_lost();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!message.source.empty()) {
      const std::string_view text(message.payload.data(), message.payload.size());
      const std::size_t most = message.level >= spdlog::level::warn ? most_warnings : most_others;
      const log_repeats::place from(message.source.filename, message.source.line);
      if (!repeats_.passes(from, message.level, text, most, log_repeats::clock::now())) return;
    }
    write(message);
  }
  void flush_() override {}

 private:
  void write(const spdlog::details::log_msg& message) {
    if (!tell_lost() || !put(message)) ++lost_;
  }
  // Whether nothing is lost any more that nobody was told of.
  bool tell_lost() {
    if (lost_ == 0) return true;
    const std::string text =
        std::to_string(lost_) + " line(s) of this log are lost: standard error took nothing for a while";
    if (!put(spdlog::details::log_msg({}, spdlog::level::warn, text))) return false;
    lost_ = 0;
    return true;
  }
  bool put(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return outlet_.write({line.data(), line.size()});
  }

  log_repeats repeats_;
  log_outlet outlet_{STDERR_FILENO};
  std::uint64_t lost_ = 0;
};

const std::shared_ptr<stderr_sink>& the_sink() {
  static const auto sink = std::make_shared<stderr_sink>();
  return sink;
}

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

std::string format_line(const log_line_text& line, log_format format, bool to_journal) {
  std::string made;
  if (to_journal) made = {'<', priority_of(line.weight), '>'};
  if (format == log_format::json) {
    append_json(line, made);
    return made;
  }
  if (!to_journal) {
    const time_text time = in_utc(line.when);
    made += time.seconds + "." + time.micros.substr(0, 3) + "Z ";
    made += word_of(line.weight);
    made += ' ';
  }
  append_plain(line.text, made);
  return made;
}

bool is_journal(const char* variable, int descriptor) {
  struct stat there{};
  if (variable == nullptr || ::fstat(descriptor, &there) != 0) return false;
  return std::to_string(there.st_dev) + ":" + std::to_string(there.st_ino) == variable;
}

void configure_log(std::string_view level, log_format format) {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("pglodge", the_sink());
    spdlog::set_default_logger(made);
    return made;
  }();
  static const bool to_journal = is_journal(std::getenv("JOURNAL_STREAM"), STDERR_FILENO);
  logger->set_formatter(std::make_unique<line_formatter>(format, to_journal));
  logger->set_level(spdlog::level::from_str(std::string(level)));
}

spdlog::logger& log_of_any_level() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("pglodge", the_sink());
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

void tell_repeats() { the_sink()->tell(stderr_sink::which::due); }
void tell_last_repeats() { the_sink()->tell(stderr_sink::which::all); }

}  // namespace proxy::desk
