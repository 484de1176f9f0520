#include "protocol/password_secret.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <optional>

#include "protocol/base64.hpp"
#include "protocol/crypto.hpp"
#include "protocol/saslprep.hpp"
#include "protocol/scram_keys.hpp"

namespace pgwire {
namespace {

constexpr std::string_view md5_prefix = "md5";
constexpr std::size_t md5_digits = 32;
constexpr std::string_view scram_scheme = "SCRAM-SHA-256";

template <class... Cases>
struct overloaded : Cases... {
  using Cases::operator()...;
};

bool is_md5(std::string_view text) {
  return text.size() == md5_prefix.size() + md5_digits && text.starts_with(md5_prefix) &&
         text.find_first_not_of("0123456789abcdef", md5_prefix.size()) == std::string_view::npos;
}

struct scram_parts {
  std::string_view iterations, salt, stored_key, server_key;
};

// Cut as PostgreSQL's parse_scram_secret cuts, by strtok: it passes over any delimiters before a part.
std::optional<scram_parts> split_scram(std::string_view text) {
  const auto next = [&text](char delimiter) {
    text.remove_prefix(std::min(text.find_first_not_of(delimiter), text.size()));
    const auto part = text.substr(0, text.find(delimiter));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    return part;
  };
  if (next('$') != scram_scheme) return std::nullopt;
  scram_parts parts;
  parts.iterations = next(':');
  parts.salt = next('$');
  parts.stored_key = next(':');
  parts.server_key = text;
  if (parts.iterations.empty() || parts.salt.empty() || parts.stored_key.empty() || text.empty()) return std::nullopt;
  return parts;
}

bool decode_key(std::string_view base64, secret_key& key) {
  return base64_decode(base64, key.writable()) == secret_key::size;
}

std::optional<scram_secret> read_scram(const scram_parts& parts) {
  scram_secret secret;
  const auto* begin = parts.iterations.data();
  const auto* end = begin + parts.iterations.size();
  const auto [at, error] = std::from_chars(begin, end, secret.iterations);
  if (error != std::errc() || at != end) return std::nullopt;
  if (secret.iterations < 1 || secret.iterations > most_scram_iterations) return std::nullopt;

  std::array<std::byte, most_scram_salt_bytes> salt;
  const auto salt_bytes = base64_decode(parts.salt, salt);
  if (!salt_bytes || *salt_bytes == 0) return std::nullopt;
  secret.salt = as_text(std::span(salt).first(*salt_bytes));
  if (!decode_key(parts.stored_key, secret.stored_key)) return std::nullopt;
  if (!decode_key(parts.server_key, secret.server_key)) return std::nullopt;
  return secret;
}

bool acceptable(std::string_view password) {
  return !password.empty() && password.size() <= most_password_bytes && !password.contains('\0');
}

// What an md5 secret holds, for the kinds that have or give one.
result<secret_string> md5_of(const password_secret& secret, std::string_view role) {
  if (const auto* md5 = std::get_if<md5_secret>(&secret)) return md5->hex;
  if (const auto* plain = std::get_if<plain_secret>(&secret)) return md5_hex(plain->password.view(), role);
  return std::unexpected(errc::bad_password_secret);
}

password_check verdict_of(bool same) { return same ? password_check::right : password_check::wrong; }

// By their digests, so that the time tells nothing of the secret's length either.
bool same_text(std::string_view a, std::string_view b) { return sha256(as_bytes(a)) == sha256(as_bytes(b)); }

}  // namespace

result<password_secret> parse_password_secret(std::string_view text) {
  if (!acceptable(text)) return std::unexpected(errc::bad_password_secret);
  if (is_md5(text)) return md5_secret{secret_string(text.substr(md5_prefix.size()))};
  const auto parts = split_scram(text);
  if (!parts) return plain_secret{secret_string(text)};
  auto secret = read_scram(*parts);
  // Written again it must be the same text: no second delimiter, sign or leading zero was passed over.
  if (!secret || encode_scram_secret(*secret).view() != text) return std::unexpected(errc::bad_password_secret);
  return *std::move(secret);
}

secret_string encode_scram_secret(const scram_secret& secret) {
  std::string text(scram_scheme);
  std::string stored_key = base64_encode(secret.stored_key.bytes());
  std::string server_key = base64_encode(secret.server_key.bytes());
  text.reserve(2 * most_scram_salt_bytes + 8 * secret_key::size);  // never moved, so there is one copy to wipe
  text.append("$").append(std::to_string(secret.iterations)).append(":");
  text.append(base64_encode(as_bytes(secret.salt))).append("$").append(stored_key).append(":").append(server_key);
  secret_string encoded(text);
  for (auto* copy : {&text, &stored_key, &server_key}) wipe(std::as_writable_bytes(std::span(*copy)));
  return encoded;
}

bool verification_is_slow(const password_secret& secret) { return std::holds_alternative<scram_secret>(secret); }

password_check verify_password(const password_secret& secret, std::string_view role, std::string_view password) {
  if (!acceptable(password)) return password_check::wrong;
  return std::visit(
      overloaded{
          [&](const plain_secret& plain) { return verdict_of(same_text(plain.password.view(), password)); },
          [&](const md5_secret& md5) {
            const auto hex = md5_hex(password, role);
            return hex ? verdict_of(*hex == md5.hex) : password_check::impossible;
          },
          [&](const scram_secret& scram) {
            const auto derived = build_scram_secret(password, as_bytes(scram.salt), scram.iterations);
            const bool same = derived.server_key == scram.server_key;
            return verdict_of(same && !scram.mock);
          },
      },
      secret);
}

result<secret_string> md5_answer(const password_secret& secret, std::string_view role, byte_view salt) {
  const auto hex = md5_of(secret, role);
  if (!hex) return hex;
  const auto salted = md5_hex(hex->view(), as_text(salt));
  if (!salted) return salted;
  secret_string answer(md5_prefix.size() + md5_digits);
  md5_prefix.copy(answer.writable().data(), md5_prefix.size());
  salted->view().copy(answer.writable().data() + md5_prefix.size(), md5_digits);
  return answer;
}

password_check verify_md5_answer(const password_secret& secret, std::string_view role, byte_view salt,
                                 std::string_view answer) {
  const auto expected = md5_answer(secret, role, salt);
  if (!expected) return password_check::impossible;
  return verdict_of(constant_time_equal(as_bytes(expected->view()), as_bytes(answer)));
}

scram_secret build_scram_secret(std::string_view password, byte_view salt, std::uint32_t iterations) {
  assert(!salt.empty() && salt.size() <= most_scram_salt_bytes);
  assert(iterations >= 1 && iterations <= most_scram_iterations);
  const auto keys = derive_keys(salted_password(saslprep(password).view(), salt, iterations));
  return {.iterations = iterations,
          .salt = std::string(as_text(salt)),
          .stored_key = stored_key_of(keys.client_key),
          .server_key = keys.server_key};
}

std::string stable_salt(const secret_key& mock_key, std::string_view role) {
  const auto digest = hmac_sha256(mock_key.bytes(), as_bytes(role));
  return std::string(as_text(digest.bytes()).substr(0, scram_salt_bytes));
}

scram_secret mock_scram_secret(const secret_key& mock_key, std::string_view role, std::uint32_t iterations) {
  return {.iterations = iterations, .salt = stable_salt(mock_key, role), .mock = true};
}

}  // namespace pgwire
