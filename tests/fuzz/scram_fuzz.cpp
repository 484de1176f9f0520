// The first byte chooses: a parser, whose messages must read back as they are written; a side that is told anything;
// or an exchange of two honest sides in which one message is replaced. That one must not succeed at both ends.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include "protocol/byte_reader.hpp"
#include "protocol/crypto.hpp"
#include "protocol/scram_client_fsm.hpp"
#include "protocol/scram_messages.hpp"
#include "protocol/scram_server_fsm.hpp"

namespace {

using namespace pgwire;

void must(bool holds) {
  if (!holds) std::abort();
}

const scram_keys keys{sha256(as_bytes("client")), sha256(as_bytes("server"))};

scram_server_fsm server(bool tls, bool mock = false) {
  scram_secret secret{
      .iterations = 1, .salt = "salt", .stored_key = stored_key_of(keys.client_key), .server_key = keys.server_key};
  secret.mock = mock;
  return {secret, "servernonce", tls ? std::optional<std::string>("hash") : std::nullopt};
}
scram_client_fsm client(bool tls, bool knows_keys) {
  static constexpr std::array offered{scram_sha_256_plus, scram_sha_256};
  return {offered, "clientnonce", tls ? std::optional<std::string>("hash") : std::nullopt,
          knows_keys ? std::optional(keys) : std::nullopt};
}

// What is read, written and read again is the same message; extensions are all that may be lost.
template <class Message>
void check_parser(std::string_view text) {
  const auto message = Message::decode(text);
  if (!message) return;
  const auto written = message->encode();
  const auto again = Message::decode(written);
  must(again && again->encode() == written);
}

void check_bare(std::string_view text) {
  const auto bare = scram_client_first::decode_bare(text);
  must(!bare || (bare->bare == text && text.starts_with(bare->encode_bare())));
}

constexpr std::array parsers{check_parser<scram_client_first>, check_parser<scram_server_first>,
                             check_parser<scram_client_final>, check_parser<scram_server_final>, check_bare};

// Lines are the client's messages; the first is its choice of a mechanism.
void tell_server(std::string_view text, bool tls, bool mock) {
  auto side = server(tls, mock);
  std::optional<std::string_view> mechanism;
  for (bool first = true; !text.empty();) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!mechanism) {
      mechanism = line;
      continue;
    }
    const auto data = line == "-" ? std::nullopt : std::optional(line);
    const auto action = first ? side.on_initial(*mechanism, data) : side.on_response(line);
    first = false;
    // None of these knows the key.
    must(!std::holds_alternative<scram_server_fsm::accepted>(action));
  }
}

void tell_client(std::string_view text, bool tls, bool knows_keys) {
  auto side = client(tls, knows_keys);
  side.initial();
  const auto cut = std::min(text.find('\n'), text.size());
  const auto action = side.on_continue(text.substr(0, cut));
  if (const auto* derive = std::get_if<scram_client_fsm::derive>(&action)) {
    must(derive->iterations >= 1 && derive->iterations <= most_scram_iterations && !derive->salt.empty());
    must(std::holds_alternative<scram_client_fsm::send>(side.on_derived(sha256({}))));
  }
  text.remove_prefix(std::min(cut + 1, text.size()));
  must(!std::holds_alternative<scram_client_fsm::authenticated>(side.on_final(text)));
}

// Message `replaced` (0 to 3) of an honest exchange is `text` instead.
void meddle(std::string_view text, int replaced, bool tls) {
  auto at_client = client(tls, true);
  auto at_server = server(tls);
  bool altered = false;
  const auto on_the_way = [&](int message, const std::string& honest) {
    if (message != replaced) return honest;
    altered = honest != text;
    return std::string(text);
  };
  const auto first = std::get<scram_client_fsm::start>(at_client.initial());
  auto answer = at_server.on_initial(first.mechanism, on_the_way(0, first.client_first));
  const auto* asks = std::get_if<scram_server_fsm::send_continue>(&answer);
  if (asks == nullptr) return must(altered);
  auto step = at_client.on_continue(on_the_way(1, asks->text));
  const auto* proves = std::get_if<scram_client_fsm::send>(&step);
  if (proves == nullptr) return must(altered);
  answer = at_server.on_response(on_the_way(2, proves->client_final));
  const auto* accepted = std::get_if<scram_server_fsm::accepted>(&answer);
  if (accepted == nullptr) return must(altered);
  must(accepted->client_key == keys.client_key);
  step = at_client.on_final(on_the_way(3, accepted->server_final));
  // Behind the server's signature nothing is signed any more: extensions may be put there.
  if (replaced == 3 && text.starts_with(accepted->server_final + ",")) return;
  must(std::holds_alternative<scram_client_fsm::authenticated>(step) == !altered);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const bool tls = (data[0] & 0x80) != 0;
  const bool other = (data[0] & 0x40) != 0;
  const auto text = as_text(std::as_bytes(std::span(data, size)).subspan(1));
  const int choice = data[0] % 16;
  if (choice < 5) {
    parsers[static_cast<std::size_t>(choice)](text);
  } else if (choice == 5) {
    tell_server(text, tls, other);
  } else if (choice == 6) {
    tell_client(text, tls, other);
  } else if (choice >= 8 && choice < 12) {
    meddle(text, choice - 8, tls);
  }
  return 0;
}
