// Hashes against published vectors, Base64 in its one spelling, secrets that leave nothing behind.
#include "protocol/crypto.hpp"

#include <openssl/evp.h>

#include <catch2/catch.hpp>
#include <ostream>
#include <type_traits>

#include "protocol/base64.hpp"

namespace crypto_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

std::string hex(const secret_key& key) {
  std::string text;
  for (const auto byte : key.bytes()) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

// What `text` decodes to with room for `most` bytes.
std::optional<std::string> decoded(std::string_view text, std::size_t most = 64) {
  std::string out(most, '?');
  const auto count = base64_decode(text, std::as_writable_bytes(std::span(out)));
  if (!count) return std::nullopt;
  return out.substr(0, *count);
}

template <class T>
concept streamable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(streamable<std::string_view>);
static_assert(!streamable<secret_string> && !streamable<secret_key>);
static_assert(!std::is_convertible_v<secret_string, std::string_view>);
static_assert(!std::is_convertible_v<std::string_view, secret_string>);

}  // namespace

TEST_CASE("SHA-256, its HMAC and PBKDF2 give what their specifications say") {
  // FIPS 180-4 example; RFC 4231, case 2; RFC 7914, section 11.
  CHECK(hex(sha256(as_bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmac_sha256({}, {})) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  CHECK(hex(pbkdf2_hmac_sha256("passwd", as_bytes("salt"), 1)) ==
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  CHECK(hex(pbkdf2_hmac_sha256("", {}, 1)) == hex(hmac_sha256({}, as_bytes("\0\0\0\1"s))));
}

TEST_CASE("MD5 is of both texts, and its absence is a value") {
  // RFC 1321, appendix A.5
  CHECK(md5_hex("", "")->view() == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(md5_hex("message digest", "")->view() == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(md5_hex("message", " digest")->view() == "f96b697d7cb7938d525a2f31aaf161d0");

  // What libcrypto does in FIPS mode: it only finds approved algorithms.
  REQUIRE(EVP_default_properties_enable_fips(nullptr, 1) == 1);
  const auto refused = md5_hex("a", "b");
  REQUIRE(EVP_default_properties_enable_fips(nullptr, 0) == 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::md5_unavailable);
  CHECK(md5_hex("a", "b"));
}

TEST_CASE("Base64 there and back") {
  // RFC 4648, section 10
  CHECK(base64_encode({}).empty());
  CHECK(base64_encode(as_bytes("f")) == "Zg==");
  CHECK(base64_encode(as_bytes("fo")) == "Zm8=");
  CHECK(base64_encode(as_bytes("foo")) == "Zm9v");
  CHECK(base64_encode(as_bytes("foob")) == "Zm9vYg==");
  CHECK(base64_encode(as_bytes("\xfb\xff\xfe")) == "+//+");
  std::string bytes;
  for (int i = 0; i < 64; ++i) {
    CHECK(decoded(base64_encode(as_bytes(bytes))) == bytes);
    bytes += static_cast<char>(i * 37);
  }
}

TEST_CASE("Base64 has one spelling, and a bound") {
  CHECK(decoded("Zm9v", 3) == "foo");
  CHECK_FALSE(decoded("Zm9v", 2));
  CHECK_FALSE(decoded("Zg==", 0));
  CHECK(decoded("", 0) == "");
  for (const char* bad : {"Z", "Zg", "Zg=", "Zm9vZ", "=", "==", "====", "Z===", "Zg==Zg==", "Z=g=", "Zg=a",
                          "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zm-v", "Zm_v", "Zm9\xff"}) {
    INFO(bad);
    CHECK_FALSE(decoded(bad));
  }
  CHECK_FALSE(decoded("Zm9\0"s));
}

TEST_CASE("a moved secret leaves nothing behind") {
  secret_string text("hunter2");
  const auto moved = std::move(text);
  CHECK(moved.view() == "hunter2");
  CHECK(text.view().empty());  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): that is tested
  secret_string copy = moved;
  CHECK((copy == moved));
  copy = secret_string("hunter3");
  CHECK_FALSE((copy == moved));
  CHECK_FALSE((copy == secret_string()));
  CHECK((secret_string() == secret_string("")));

  secret_key key = sha256(as_bytes("abc"));
  const secret_key same = key;
  secret_key elsewhere = std::move(key);
  CHECK((elsewhere == same));
  CHECK((key == secret_key()));  // NOLINT(bugprone-use-after-move)
  key = std::move(elsewhere);
  CHECK((key == same));
  CHECK((elsewhere == secret_key()));  // NOLINT(bugprone-use-after-move)
  auto& itself = key;
  key = std::move(itself);
  CHECK((key == same));
  CHECK(((key ^ key) == secret_key()));
}

TEST_CASE("a destroyed secret is wiped where it stood") {
  alignas(secret_key) std::array<std::byte, sizeof(secret_key)> place;
  auto* key = new (place.data()) secret_key(sha256(as_bytes("abc")));
  CHECK(std::to_integer<int>(place[0]) == 0xba);
  key->~secret_key();
  CHECK(place == std::array<std::byte, sizeof(secret_key)>{});
}

TEST_CASE("comparing in constant time compares") {
  CHECK(constant_time_equal({}, {}));
  CHECK(constant_time_equal(as_bytes("ab"), as_bytes("ab")));
  CHECK_FALSE(constant_time_equal(as_bytes("ab"), as_bytes("ac")));
  CHECK_FALSE(constant_time_equal(as_bytes("ab"), as_bytes("abc")));
}

}  // namespace crypto_test
