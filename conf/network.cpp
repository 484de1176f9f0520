#include "conf/network.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <vector>

#include "conf/words.hpp"

namespace conf {
namespace {

constexpr unsigned v4_bits = 32;
constexpr unsigned v6_bits = 128;
constexpr unsigned mapped_bits = 96;  // what ::ffff: stands for
constexpr std::size_t v6_groups = 8;

unsigned bits_of(const ip_address& address) { return address.kind == ip_address::family::v4 ? v4_bits : v6_bits; }

// One to `most_digits` digits of this base and nothing else. Decimal ones without leading zeros: 010 is eight to some.
std::optional<unsigned> parse_number(std::string_view text, int base, std::size_t most_digits) {
  if (text.empty() || text.size() > most_digits) return std::nullopt;
  if (base == 10 && text.size() > 1 && text.front() == '0') return std::nullopt;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::array<std::uint8_t, 4>> parse_v4(std::string_view text) {
  const auto parts = split(text, '.');
  std::array<std::uint8_t, 4> bytes{};
  if (parts.size() != bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto number = parse_number(parts[i], 10, 3);
    if (!number || *number > 255) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*number);
  }
  return bytes;
}

using group_list = std::vector<std::uint16_t>;

// Groups of up to four digits between colons; the last two may be written as an IPv4 address if `may_end_dotted`.
std::optional<group_list> parse_groups(std::string_view text, bool may_end_dotted) {
  group_list groups;
  if (text.empty()) return groups;
  const auto parts = split(text, ':');
  for (const std::string_view part : parts) {
    const bool is_last = part.data() == parts.back().data();
    if (is_last && may_end_dotted && part.contains('.')) {
      const auto v4 = parse_v4(part);
      if (!v4) return std::nullopt;
      groups.push_back(static_cast<std::uint16_t>((*v4)[0] << 8 | (*v4)[1]));
      groups.push_back(static_cast<std::uint16_t>((*v4)[2] << 8 | (*v4)[3]));
      continue;
    }
    const auto number = parse_number(part, 16, 4);
    if (!number) return std::nullopt;
    groups.push_back(static_cast<std::uint16_t>(*number));
  }
  return groups;
}

std::optional<std::array<std::uint8_t, 16>> parse_v6(std::string_view text) {
  const auto gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  auto groups = parse_groups(text.substr(0, gap), !has_gap);
  const auto behind = parse_groups(has_gap ? text.substr(gap + 2) : std::string_view(), true);
  if (!groups || !behind) return std::nullopt;
  const std::size_t count = groups->size() + behind->size();
  if (has_gap ? count >= v6_groups : count != v6_groups) return std::nullopt;
  groups->resize(v6_groups - behind->size());
  groups->insert(groups->end(), behind->begin(), behind->end());

  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < v6_groups; ++i) {
    bytes[2 * i] = static_cast<std::uint8_t>((*groups)[i] >> 8);
    bytes[2 * i + 1] = static_cast<std::uint8_t>((*groups)[i] & 0xff);
  }
  return bytes;
}

// Without the sense for mapped addresses: a network's prefix counts from where it was written.
std::optional<ip_address> parse_as_written(std::string_view text) {
  if (const auto v4 = parse_v4(text)) return ip_of_v4(*v4);
  if (const auto v6 = parse_v6(text)) return ip_address{ip_address::family::v6, *v6};
  return std::nullopt;
}

bool is_mapped(const ip_address& address) {
  constexpr std::array<std::uint8_t, 12> mapping{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return address.kind == ip_address::family::v6 && std::ranges::equal(mapping, std::span(address.bytes).first<12>());
}

ip_address unmapped(const ip_address& address) {
  if (!is_mapped(address)) return address;
  const auto& bytes = address.bytes;
  return ip_of_v4({bytes[12], bytes[13], bytes[14], bytes[15]});
}

std::string v6_to_string(const ip_address& address) {
  std::array<unsigned, v6_groups> groups{};
  for (std::size_t i = 0; i < v6_groups; ++i) {
    groups[i] = static_cast<unsigned>(address.bytes[2 * i] << 8 | address.bytes[2 * i + 1]);
  }
  // The longest run of zero groups, of two or more, is left out; of equally long ones the first.
  std::size_t gap = v6_groups;
  std::size_t gap_size = 1;
  for (std::size_t i = 0; i < v6_groups; ++i) {
    std::size_t run = 0;
    while (i + run < v6_groups && groups[i + run] == 0) ++run;
    if (run > gap_size) {
      gap = i;
      gap_size = run;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < v6_groups; ++i) {
    if (i == gap) {
      text += "::";
      i += gap_size - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    std::array<char, 4> digits{};
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), groups[i], 16).ptr);
  }
  return text;
}

}  // namespace

ip_address ip_of_v4(const std::array<std::uint8_t, 4>& bytes) {
  ip_address address;
  std::ranges::copy(bytes, address.bytes.begin());
  return address;
}

ip_address ip_of_v6(const std::array<std::uint8_t, 16>& bytes) { return unmapped({ip_address::family::v6, bytes}); }

ip_address masked(const ip_address& address, unsigned prefix) {
  ip_address result = address;
  for (std::uint8_t& byte : result.bytes) {
    const unsigned kept = std::min(prefix, 8U);
    byte = static_cast<std::uint8_t>(byte & (0xff00U >> kept));
    prefix -= kept;
  }
  return result;
}

std::optional<ip_address> parse_ip(std::string_view text) {
  const auto address = parse_as_written(text);
  if (!address) return std::nullopt;
  return unmapped(*address);
}

std::string to_string(const ip_address& address) {
  if (address.kind == ip_address::family::v6) return v6_to_string(address);
  std::string text;
  for (const unsigned byte : std::span(address.bytes).first<4>()) {
    text += (text.empty() ? "" : ".") + std::to_string(byte);
  }
  return text;
}

std::expected<network, std::string> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_as_written(text.substr(0, slash));
  if (!address) {
    return std::unexpected(in_quotes(text) +
                           " is no IP address or network; write 192.0.2.7, 10.0.0.0/8, 2001:db8::/32 or unix");
  }
  unsigned prefix = bits_of(*address);
  if (slash != std::string_view::npos) {
    const auto number = parse_number(text.substr(slash + 1), 10, 3);
    if (!number || *number > prefix) {
      return std::unexpected(in_quotes(text) + " has no prefix of 0 to " + std::to_string(prefix) +
                             " bits behind its slash");
    }
    prefix = *number;
  }
  network net{masked(*address, prefix), static_cast<std::uint8_t>(prefix)};
  const bool is_whole = net.base == *address;
  if (is_mapped(net.base) && prefix >= mapped_bits) {
    net = {unmapped(net.base), static_cast<std::uint8_t>(prefix - mapped_bits)};
  }
  if (!is_whole) {
    return std::unexpected(in_quotes(text) + " has bits behind its prefix; write " + to_string(net) +
                           " for the network, or the address alone");
  }
  return net;
}

std::string to_string(const network& net) { return to_string(net.base) + "/" + std::to_string(net.prefix); }

bool contains(const network& net, const ip_address& address) {
  return net.base.kind == address.kind && masked(address, net.prefix) == net.base;
}

}  // namespace conf
