#include "proxy/desk/usage_line.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/hex.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "protocol/byte_reader.hpp"
#include "proxy/random.hpp"
#include "routing/ids.hpp"

namespace proxy::desk {
namespace {

namespace json = boost::json;

constexpr std::string_view digits_of_run = "0123456789abcdef";
constexpr std::size_t run_digits = 16;

std::expected<std::string_view, std::string> text_of(const json::object& line, std::string_view key) {
  const json::value* found = line.if_contains(key);
  const json::string* text = found != nullptr ? found->if_string() : nullptr;
  if (text == nullptr) return std::unexpected("it has no text \"" + std::string(key) + "\"");
  return std::string_view(text->data(), text->size());
}

std::expected<utc_time, std::string> time_of(const json::object& line, std::string_view key) {
  const auto text = text_of(line, key);
  if (!text) return std::unexpected(text.error());
  return parse_time(*text);
}

// <run>-<interval>-<tenant>; only the tenant may have a '-' in it.
bool take_key(std::string_view key, usage_line& line) {
  const auto run = key.substr(0, std::min(run_digits, key.size()));
  if (run.size() < run_digits || run.find_first_not_of(digits_of_run) != std::string_view::npos) return false;
  key.remove_prefix(run_digits);
  if (!key.starts_with('-')) return false;
  key.remove_prefix(1);
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), line.interval);
  if (error != std::errc{} || line.interval == 0) return false;
  key.remove_prefix(static_cast<std::size_t>(end - key.data()));
  line.run = run;
  return key == "-" + line.tenant;
}

bool take_count(const json::value& value, std::uint64_t& count) {
  if (const auto* number = value.if_int64(); number != nullptr && *number >= 0) {
    count = static_cast<std::uint64_t>(*number);
    return count <= largest_usage_count;
  }
  return false;
}

std::expected<usage_line, std::string> from_object(const json::object& object) {
  usage_line line;
  const auto key = text_of(object, "key");
  if (!key) return std::unexpected(key.error());
  const auto tenant = text_of(object, "tenant");
  if (!tenant) return std::unexpected(tenant.error());
  if (!tenant->empty() && !routing::tenant_id::parse(*tenant)) return std::unexpected("its tenant is not an id");
  line.tenant = *tenant;
  if (!take_key(*key, line)) return std::unexpected("its key is not <run>-<interval>-<tenant>");

  const auto from = time_of(object, "from");
  if (!from) return std::unexpected(from.error());
  const auto to = time_of(object, "to");
  if (!to) return std::unexpected(to.error());
  line.from = *from;
  line.to = *to;

  for (const auto& [name, value] : all_usage_counts) {
    const json::value* found = object.if_contains(name);
    if (found != nullptr && !take_count(*found, line.counts.*value))
      return std::unexpected("its \"" + std::string(name) + "\" is not a count");
  }
  return line;
}

}  // namespace

std::string new_run() {
  std::array<std::byte, run_digits / 2> bytes{};
  fill_random(bytes);
  return boost::algorithm::hex_lower(std::string(pgwire::as_text(bytes)));
}

std::string to_json(const usage_line& line) {
  json::object object;
  object["key"] = line.run + "-" + std::to_string(line.interval) + "-" + line.tenant;
  object["from"] = to_rfc3339(line.from);
  object["to"] = to_rfc3339(line.to);
  object["tenant"] = line.tenant;
  for (const auto& [name, value] : all_usage_counts) object[name] = std::min(line.counts.*value, largest_usage_count);
  return json::serialize(object);
}

std::expected<usage_line, std::string> parse_usage_line(std::string_view text) {
  if (text.size() > longest_usage_line) return std::unexpected("it is too long");
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return std::unexpected("it is not JSON");
  const json::object* object = value.if_object();
  if (object == nullptr) return std::unexpected("it is not a JSON object");
  return from_object(*object);
}

}  // namespace proxy::desk
