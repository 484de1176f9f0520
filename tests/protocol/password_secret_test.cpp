// What is stored of passwords: read, checked against, built, mocked. The samples are PostgreSQL 15's own.
#include "protocol/password_secret.hpp"

#include <catch2/catch.hpp>

#include "protocol/crypto.hpp"
#include "protocol/error_response.hpp"
#include "protocol/scram_keys.hpp"

namespace password_secret_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

// CREATE ROLE alice PASSWORD 'pencil'; carol the same with password_encryption = md5; bob's is
// E'p\u00e4ss\u2003w\u00f6rt\ufb01'
const auto alice =
    "SCRAM-SHA-256$4096:pIvE7IcTUo3JLRFXVLbZVg==$lxsVePFFTxvj1W6ZJ92kGPfwCnEq3ODZUR86VAZ79xc=:TPlylmwZnWUv5KduZmUIsf5UlGxA9YZ3HDWSZKo5fOk="s;
const auto bob =
    "SCRAM-SHA-256$4096:pCwh9TGYZEOUAB+gTN6Kdw==$wtz/YuB17jTBex0HaRTdLP0F5I7vwiNgvJ0hwX8VcXI=:DTnqVuO03ZTPGpvLyDsmQwVUdiFWuBtcDz07pR8aCu4="s;
const auto carol = "md5bd9b2f028f0da30651d603cf780feee9"s;

password_secret parsed(std::string_view text) { return parse_password_secret(text).value(); }

std::string kind(std::string_view text) {
  const auto secret = parse_password_secret(text);
  if (!secret) {
    CHECK(secret.error() == errc::bad_password_secret);
    return "error";
  }
  return std::array{"plain", "md5", "scram"}[secret->index()];
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  return text.replace(text.find(what), what.size(), with);
}

}  // namespace

TEST_CASE("the three kinds") {
  CHECK(kind("pencil") == "plain");
  CHECK(kind(carol) == "md5");
  CHECK(kind(alice) == "scram");
  const auto secret = std::get<scram_secret>(parsed(alice));
  CHECK(secret.iterations == 4096);
  CHECK(secret.salt.size() == scram_salt_bytes);
  CHECK_FALSE(secret.mock);
  CHECK(encode_scram_secret(secret).view() == alice);
}

TEST_CASE("what looks like md5 but is not is plain, as for PostgreSQL") {
  for (const char* text : {"md5", "md5bd9b2f028f0da30651d603cf780feee", "md5bd9b2f028f0da30651d603cf780feee99",
                           "md5BD9B2F028F0DA30651D603CF780FEEE9", "MD5bd9b2f028f0da30651d603cf780feee9",
                           "md5bd9b2f028f0da30651d603cf780feeeg"}) {
    CHECK(kind(text) == "plain");
  }
}

TEST_CASE("a SCRAM secret with a part missing is plain, as for PostgreSQL; a damaged one is nothing") {
  for (const auto& text :
       {"SCRAM-SHA-256"s, "SCRAM-SHA-256$"s, "SCRAM-SHA-256$4096"s, "SCRAM-SHA-256$4096:c2FsdA=="s,
        "SCRAM-SHA-256$4096:c2FsdA==$"s, "SCRAM-SHA-256$4096:c2FsdA==$AAAA"s, "SCRAM-SHA-256$4096:c2FsdA==$AAAA:"s,
        replaced(alice, "SHA-256", "SHA-1"), replaced(alice, "SCRAM", "scram"), " " + alice}) {
    INFO(text);
    CHECK(kind(text) == "plain");
  }
  for (const auto& count : {"0"s, "-1"s, "+4096"s, " 4096"s, "04096"s, "4096 "s, "0x10"s, "1000001"s, "4294967297"s,
                            "99999999999999999999"s}) {
    INFO(count);
    CHECK(kind(replaced(alice, "4096", count)) == "error");
  }
  CHECK(kind(replaced(alice, "4096", "1")) == "scram");
  CHECK(kind(replaced(alice, "4096", "1000000")) == "scram");
  CHECK(kind(replaced(alice, "pIvE7IcTUo3JLRFXVLbZVg==", "pIvE7IcTUo3JLRFXVLbZVg=")) == "error");
  CHECK(kind(replaced(alice, "pIvE7IcTUo3JLRFXVLbZVg==", "pIvE7IcTUo3J LRFXVLbZVg==")) == "error");
  CHECK(kind(replaced(alice, "$lxsV", "$lxsVAAAA")) == "error");
  CHECK(kind(replaced(alice, "$lxsV", "$")) == "error");
  CHECK(kind(replaced(alice, "$lxsV", "$$lxsV")) == "error");
  CHECK(kind("$" + alice) == "error");
  CHECK(kind(alice + "A") == "error");
  CHECK(kind(alice + "\n") == "error");
  for (std::size_t length = 0; length < alice.size(); ++length) CHECK(kind(alice.substr(0, length)) != "scram");
}

TEST_CASE("bounds of a secret") {
  CHECK(kind("") == "error");
  CHECK(kind("pen\0cil"s) == "error");
  CHECK(kind(alice + "\0"s) == "error");
  CHECK(kind(std::string(most_password_bytes, 'x')) == "plain");
  CHECK(kind(std::string(most_password_bytes + 1, 'x')) == "error");
  auto secret = std::get<scram_secret>(parsed(alice));
  secret.salt.assign(most_scram_salt_bytes, 's');
  CHECK(kind(encode_scram_secret(secret).view()) == "scram");
  secret.salt += 's';
  CHECK(kind(encode_scram_secret(secret).view()) == "error");
}

TEST_CASE("a cleartext password against each kind") {
  for (const auto& text : {"pencil"s, alice, carol}) {
    const auto secret = parsed(text);
    CHECK(verify_password(secret, "carol", "pencil") == password_check::right);
    CHECK(verify_password(secret, "carol", "pencil ") == password_check::wrong);
    CHECK(verify_password(secret, "carol", "Pencil") == password_check::wrong);
    CHECK(verify_password(secret, "carol", "") == password_check::wrong);
    CHECK(verify_password(secret, "carol", "pencil\0"s) == password_check::wrong);
    CHECK(verify_password(secret, "carol", std::string(1 << 20, 'x')) == password_check::wrong);
    CHECK(verify_password(secret, "carol", text) == (text == "pencil" ? password_check::right : password_check::wrong));
    CHECK(verification_is_slow(secret) == (text == alice));
  }
  CHECK(verify_password(parsed(carol), "alice", "pencil") == password_check::wrong);  // the role's name is in it
  const std::string longest(most_password_bytes, 'x');
  CHECK(verify_password(parsed(longest), "", longest) == password_check::right);
}

TEST_CASE("SCRAM secrets are of the prepared password") {
  const auto secret = parsed(bob);
  CHECK(verify_password(secret, "bob", "p\u00e4ss\u2003w\u00f6rt\ufb01") == password_check::right);
  CHECK(verify_password(secret, "bob", "pa\u0308ss w\u00f6rtfi") == password_check::right);
  CHECK(verify_password(secret, "bob", "pass wortfi") == password_check::wrong);
}

TEST_CASE("an md5 answer") {
  const auto salt = as_bytes("\1\2\3\4");
  const auto plain = parsed("pencil");
  const auto answer = md5_answer(plain, "carol", salt).value();
  CHECK(answer.view() == "md5" + std::string(md5_hex(carol.substr(3), "\1\2\3\4")->view()));
  CHECK((md5_answer(parsed(carol), "carol", salt).value() == answer));
  for (const auto& secret : {plain, parsed(carol)}) {
    CHECK(verify_md5_answer(secret, "carol", salt, answer.view()) == password_check::right);
    CHECK(verify_md5_answer(secret, "carol", as_bytes("\1\2\3\5"), answer.view()) == password_check::wrong);
    CHECK(verify_md5_answer(secret, "carol", salt, answer.view().substr(1)) == password_check::wrong);
    CHECK(verify_md5_answer(secret, "carol", salt, "") == password_check::wrong);
    CHECK(verify_md5_answer(secret, "carol", salt, std::string(1 << 20, 'x')) == password_check::wrong);
  }
  CHECK(verify_md5_answer(plain, "alice", salt, answer.view()) == password_check::wrong);
  CHECK(verify_md5_answer(parsed(alice), "alice", salt, answer.view()) == password_check::impossible);
  CHECK(md5_answer(parsed(alice), "alice", salt).error() == errc::bad_password_secret);
}

TEST_CASE("a secret built here is the one PostgreSQL built") {
  const auto secret = std::get<scram_secret>(parsed(alice));
  const auto built = build_scram_secret("pencil", as_bytes(secret.salt), default_scram_iterations);
  CHECK(encode_scram_secret(built).view() == alice);
}

TEST_CASE("the mock secret is steady, differs by role and by key, and verifies nothing") {
  const secret_key key = sha256(as_bytes("key"));
  const auto mock = mock_scram_secret(key, "nobody", 4096);
  CHECK(mock.mock);
  CHECK(mock.iterations == 4096);
  CHECK(mock.salt.size() == scram_salt_bytes);
  CHECK(mock.salt == mock_scram_secret(key, "nobody", 4096).salt);
  CHECK(mock.salt == stable_salt(key, "nobody"));
  CHECK(mock.salt != stable_salt(key, "nobodx"));
  CHECK(mock.salt != stable_salt(sha256(as_bytes("yek")), "nobody"));
  CHECK(verification_is_slow(mock));
  CHECK(verify_password(mock, "nobody", "pencil") == password_check::wrong);
  auto doomed = build_scram_secret("pencil", as_bytes(mock.salt), 4096);
  doomed.mock = true;
  CHECK(verify_password(doomed, "nobody", "pencil") == password_check::wrong);
}

TEST_CASE("every error of authentication has words") {
  for (int i = 0; i <= static_cast<int>(errc::bad_password_secret); ++i) {
    const auto& row = describe(static_cast<errc>(i));
    CHECK(row.sqlstate.size() == 5);
    CHECK_FALSE(row.text.empty());
  }
  CHECK(describe(errc::wrong_password).sqlstate == "28P01");
  CHECK(describe(errc::scram_downgrade).sqlstate == "28000");
}

}  // namespace password_secret_test
