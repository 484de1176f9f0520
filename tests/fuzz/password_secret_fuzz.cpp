// A stored secret: what parses is of one kind, reads back, and lets in its own password only. Base64 has one spelling.
// SASLprep takes anything.
#include <cstdlib>
#include <string>

#include "protocol/base64.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/saslprep.hpp"

namespace {

using namespace pgwire;

void must(bool holds) {
  if (!holds) std::abort();
}

void check_secret(std::string_view text) {
  const auto secret = parse_password_secret(text);
  if (!secret) return must(secret.error() == errc::bad_password_secret);
  const auto salt = as_bytes("salt");
  if (const auto* scram = std::get_if<scram_secret>(&*secret)) {
    must(encode_scram_secret(*scram).view() == text);
    must(verify_md5_answer(*secret, "role", salt, text) == password_check::impossible);
    if (scram->iterations > 2) return;  // no time for more
  }
  const bool plain = std::holds_alternative<plain_secret>(*secret);
  must(verify_password(*secret, "role", text) == (plain ? password_check::right : password_check::wrong));
  must(verify_password(*secret, "role", std::string(text) + "x") == password_check::wrong);
  if (verification_is_slow(*secret)) return;
  const auto answer = md5_answer(*secret, "role", salt).value();
  must(verify_md5_answer(*secret, "role", salt, answer.view()) == password_check::right);
  must(verify_md5_answer(*secret, "role", salt, text) == password_check::wrong);
}

void check_base64(std::string_view text) {
  std::string out(64, '\0');
  const auto count = base64_decode(text, std::as_writable_bytes(std::span(out)));
  if (count) must(base64_encode(as_bytes(out).first(*count)) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto text = as_text(std::as_bytes(std::span(data, size)));
  check_secret(text);
  check_base64(text);
  const auto prepared = saslprep(text);
  must(prepared.view().empty() == text.empty());
  return 0;
}
