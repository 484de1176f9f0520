// Addresses: ours reads what inet_pton reads and nothing else, and what it writes is read as the same. Networks hold
// their own base and are written as they are read.
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "conf/network.hpp"
#include "protocol/byte_reader.hpp"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

std::optional<conf::ip_address> by_the_system(const std::string& text) {
  std::array<std::uint8_t, 4> v4{};
  if (::inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return conf::ip_of_v4(v4);
  std::array<std::uint8_t, 16> v6{};
  if (::inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return conf::ip_of_v6(v6);
  return std::nullopt;
}

// RFC 5952, but for addresses that glibc writes with a dotted end.
void check_written(const conf::ip_address& address, const std::string& written) {
  must(conf::parse_ip(written) == address);
  std::array<char, INET6_ADDRSTRLEN> theirs{};
  const bool is_v4 = address.kind == conf::ip_address::family::v4;
  ::inet_ntop(is_v4 ? AF_INET : AF_INET6, address.bytes.data(), theirs.data(), theirs.size());
  must(is_v4 || std::string_view(theirs.data()).contains('.') || written == theirs.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(pgwire::as_text(std::as_bytes(std::span(data, size))));
  const auto address = conf::parse_ip(text);
  if (!text.contains('\0')) must(address == by_the_system(text));
  if (address) check_written(*address, conf::to_string(*address));

  const auto net = conf::parse_network(text);
  must(net || !net.error().empty());
  if (address) must(net.has_value());
  if (net) {
    must(conf::contains(*net, net->base));
    must(conf::parse_network(conf::to_string(*net)) == *net);
  }
  return 0;
}
