#include "protocol/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cassert>
#include <memory>
#include <new>

namespace pgwire {
namespace {

// OpenSSL takes a null pointer for "no value given", which an empty one is not.
const unsigned char* data_of(byte_view bytes) {
  static constexpr unsigned char nothing = 0;
  return bytes.empty() ? &nothing : reinterpret_cast<const unsigned char*>(bytes.data());
}

// The one throw of protocol/, see the header: there is no safe value to give instead.
void must(bool done) {
  if (!done) throw std::bad_alloc();
}

unsigned char* target(secret_key& key) { return reinterpret_cast<unsigned char*>(key.writable().data()); }

}  // namespace

void wipe(std::span<std::byte> bytes) noexcept { OPENSSL_cleanse(bytes.data(), bytes.size()); }

bool constant_time_equal(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

secret_key sha256(byte_view data) {
  secret_key digest;
  must(EVP_Digest(data_of(data), data.size(), target(digest), nullptr, EVP_sha256(), nullptr) == 1);
  return digest;
}

secret_key hmac_sha256(byte_view key, byte_view data) {
  secret_key digest;
  must(HMAC(EVP_sha256(), data_of(key), static_cast<int>(key.size()), data_of(data), data.size(), target(digest),
            nullptr) != nullptr);
  return digest;
}

secret_key pbkdf2_hmac_sha256(std::string_view password, byte_view salt, std::uint32_t iterations) {
  assert(iterations > 0);
  secret_key derived;
  must(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(data_of(as_bytes(password))), static_cast<int>(password.size()),
                         data_of(salt), static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                         secret_key::size, target(derived)) == 1);
  return derived;
}

result<secret_string> md5_hex(std::string_view first, std::string_view second) {
  static constexpr std::string_view hex_digits = "0123456789abcdef";
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::array<unsigned char, 16> digest{};
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), first.data(), first.size()) != 1 ||
      EVP_DigestUpdate(context.get(), second.data(), second.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    return std::unexpected(errc::md5_unavailable);
  }
  secret_string hex(2 * digest.size());
  for (std::size_t i = 0; i < digest.size(); ++i) {
    hex.writable()[2 * i] = hex_digits[digest[i] >> 4];
    hex.writable()[2 * i + 1] = hex_digits[digest[i] & 15];
  }
  wipe(std::as_writable_bytes(std::span(digest)));
  return hex;
}

}  // namespace pgwire
