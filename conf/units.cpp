#include "conf/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "conf/words.hpp"
#include "routing/ascii.hpp"

namespace conf {
namespace {

using routing::is_digit;

template <class T>
struct unit {
  std::string_view name;
  T amount;
};

constexpr std::array<unit<std::chrono::milliseconds>, 4> time_units{{{"ms", std::chrono::milliseconds(1)},
                                                                     {"s", std::chrono::seconds(1)},
                                                                     {"m", std::chrono::minutes(1)},
                                                                     {"h", std::chrono::hours(1)}}};
constexpr std::array<unit<std::uint64_t>, 3> size_units{
    {{"KiB", std::uint64_t{1} << 10}, {"MiB", std::uint64_t{1} << 20}, {"GiB", std::uint64_t{1} << 30}}};

std::string_view leading_digits(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

}  // namespace

read_result<std::uint64_t> parse_integer(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, is_digit)) {
    return std::unexpected(in_quotes(text) + " is not a whole number in decimal digits");
  }
  if (text.size() > 1 && text.front() == '0') {
    const auto first = std::min(text.find_first_not_of('0'), text.size() - 1);
    return std::unexpected(in_quotes(text) + " could be read as octal; write " + std::string(text.substr(first)) +
                           " without leading zeros");
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::unexpected("the number " + in_quotes(text) + " is too large");
  }
  return value;
}

read_result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  const std::string_view digits = leading_digits(text);
  const std::string_view rest = text.substr(digits.size());
  const auto known = std::ranges::find(time_units, rest, &unit<std::chrono::milliseconds>::name);
  if (digits.empty() || (!rest.empty() && known == time_units.end())) {
    return std::unexpected(in_quotes(text) +
                           " is not a duration; write one whole number and one unit, such as 250ms, 5s, 2m or 1h");
  }
  const auto number = parse_integer(digits);
  if (!number) return std::unexpected(number.error());
  if (rest.empty()) {
    const std::string written(digits);
    return std::unexpected("the duration " + in_quotes(text) + " needs a unit; write " + written + "s, or " + written +
                           "ms, " + written + "m, " + written + "h");
  }
  if (*number > static_cast<std::uint64_t>(longest_duration / known->amount)) {
    return std::unexpected("the duration " + in_quotes(text) + " is too long; 8760h (a year) is the most");
  }
  return known->amount * static_cast<std::int64_t>(*number);
}

read_result<std::uint64_t> parse_size(std::string_view text) {
  const std::string_view digits = leading_digits(text);
  const std::string_view rest = text.substr(digits.size());
  const auto known = std::ranges::find(size_units, rest, &unit<std::uint64_t>::name);
  if (digits.empty() || (!rest.empty() && known == size_units.end())) {
    return std::unexpected(in_quotes(text) +
                           " is not a size; write one whole number and KiB, MiB or GiB, or bytes without a unit");
  }
  const auto number = parse_integer(digits);
  if (!number) return std::unexpected(number.error());
  const std::uint64_t amount = rest.empty() ? 1 : known->amount;
  if (*number > largest_size / amount)
    return std::unexpected("the size " + in_quotes(text) + " is too large; 1024GiB is the most");
  return *number * amount;
}

}  // namespace conf
