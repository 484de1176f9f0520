#include "proxy/desk/utc_time.hpp"

#include <algorithm>

namespace proxy::desk {
namespace {

using namespace std::chrono;

// `value` in at least `width` digits.
std::string padded(long long value, std::size_t width) {
  std::string digits = std::to_string(value);
  return digits.size() < width ? std::string(width - digits.size(), '0') + digits : digits;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes what stands at the front of a text, piece by piece; the first thing that is not there spoils the rest.
class time_scanner {
 public:
  explicit time_scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  // A number of exactly so many digits, within bounds.
  int number(std::size_t digits, int least, int most) {
    if (rest_.size() < digits || !std::ranges::all_of(rest_.substr(0, digits), is_digit)) return spoil();
    int value = 0;
    for (const char c : rest_.substr(0, digits)) value = 10 * value + (c - '0');
    rest_.remove_prefix(digits);
    return value >= least && value <= most ? value : spoil();
  }
  // One of these characters; 0 if none of them is next.
  char one_of(std::string_view any) {
    if (rest_.empty() || !any.contains(rest_.front())) return 0;
    const char found = rest_.front();
    rest_.remove_prefix(1);
    return found;
  }
  void must_be(std::string_view any) {
    if (one_of(any) == 0) spoil();
  }
  // The digits behind a decimal point, as milliseconds.
  milliseconds fraction() {
    const auto end = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (end == 0) spoil();
    int value = 0;
    for (std::size_t i = 0; i < 3; ++i) value = 10 * value + (i < end ? rest_[i] - '0' : 0);
    rest_.remove_prefix(end);
    return milliseconds(value);
  }
  sys_days date() {
    const year y(number(4, 0, 9999));
    must_be("-");
    const month m(static_cast<unsigned>(number(2, 1, 12)));
    must_be("-");
    const year_month_day day(y, m, std::chrono::day(static_cast<unsigned>(number(2, 1, 31))));
    if (!day.ok()) spoil();
    return good_ ? sys_days(day) : sys_days();
  }
  minutes hour_and_minute() {
    const hours h(number(2, 0, 23));
    must_be(":");
    return h + minutes(number(2, 0, 59));
  }
  // What local time is ahead of UTC.
  minutes zone() {
    const char sign = one_of("Zz+-");
    if (sign == '+') return hour_and_minute();
    if (sign == '-') return -hour_and_minute();
    return minutes(0);
  }

 private:
  int spoil() {
    good_ = false;
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string to_date(sys_days day) {
  const year_month_day parts(day);
  return padded(static_cast<int>(parts.year()), 4) + "-" + padded(static_cast<unsigned>(parts.month()), 2) + "-" +
         padded(static_cast<unsigned>(parts.day()), 2);
}

std::string to_rfc3339(utc_time when) {
  const auto day = floor<days>(when);
  const hh_mm_ss time(when - day);
  return to_date(day) + "T" + padded(time.hours().count(), 2) + ":" + padded(time.minutes().count(), 2) + ":" +
         padded(time.seconds().count(), 2) + "." + padded(time.subseconds().count(), 3) + "Z";
}

std::optional<sys_days> parse_date(std::string_view text) {
  time_scanner scan(text);
  const sys_days day = scan.date();
  if (!scan.good() || !scan.at_end()) return std::nullopt;
  return day;
}

std::expected<utc_time, std::string> parse_time(std::string_view text) {
  time_scanner scan(text);
  utc_time when = scan.date();
  if (!scan.at_end()) {
    scan.must_be("Tt ");
    when += scan.hour_and_minute();
    if (scan.one_of(":") != 0) {
      when += seconds(scan.number(2, 0, 59));
      if (scan.one_of(".") != 0) when += scan.fraction();
    }
    when -= scan.zone();
  }
  // A zone can lead out of the years that can be written.
  const year_month_day day(floor<days>(when));
  const bool writable = day.year() >= year(0) && day.year() <= year(9999);
  if (scan.good() && scan.at_end() && writable) return when;
  return std::unexpected("\"" + std::string(text) +
                         "\" is neither a date nor a time; write one such as 2026-11-24 or 2026-11-24T17:30:00Z");
}

}  // namespace proxy::desk
