// The four SCRAM messages: read whole or not at all, and written as they were read.
#include "protocol/scram_messages.hpp"

#include <catch2/catch.hpp>

#include "protocol/base64.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/scram_keys.hpp"

namespace scram_messages_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

const std::string proof(43, 'A');
const auto client_first = "n,,n=,r=abc"s;
const auto server_first = "r=abcdef,s=c2FsdA==,i=4096"s;
const auto client_final = "c=biws,r=abcdef,p=" + proof + "=";
const auto server_final = "v=" + proof + "=";

template <class Message>
errc error_of(std::string_view text) {
  INFO(text);
  const auto message = Message::decode(text);
  REQUIRE_FALSE(message);
  return message.error();
}

template <class Message>
void refuses(std::initializer_list<std::string> texts, errc code = errc::malformed_scram) {
  for (const auto& text : texts) {
    INFO(text);
    CHECK(error_of<Message>(text) == code);
  }
}

}  // namespace

TEST_CASE("client-first") {
  const auto message = scram_client_first::decode(client_first).value();
  CHECK(message.binding == scram_binding::unsupported);
  CHECK(message.header == "n,,");
  CHECK(message.bare == "n=,r=abc");
  CHECK(message.user.empty());
  CHECK(message.nonce == "abc");
  CHECK(message.encode() == client_first);
  CHECK(scram_client_first::decode("y,,n=,r=abc")->binding == scram_binding::not_offered);
  const auto bound = scram_client_first::decode("p=tls-server-end-point,,n=a=b=2C,r=!~=").value();
  CHECK(bound.binding == scram_binding::bound);
  CHECK(bound.binding_type == tls_server_end_point);
  CHECK(bound.header == "p=tls-server-end-point,,");
  CHECK(bound.user == "a=b=2C");
  CHECK(bound.nonce == "!~=");
  CHECK(bound.encode() == "p=tls-server-end-point,,n=a=b=2C,r=!~=");
  const auto bare = scram_client_first::decode_bare("n=,r=abc").value();
  CHECK(bare.nonce == "abc");
  CHECK(bare.header.empty());
  CHECK(scram_client_first::decode("n,,n=,r=abc,x=y,Z=1=2")->bare == "n=,r=abc,x=y,Z=1=2");
}

TEST_CASE("client-first refused") {
  refuses<scram_client_first>({"",
                               "n",
                               "n,",
                               "n,,",
                               ",,n=,r=abc",
                               "x,,n=,r=abc",
                               "nn,,n=,r=abc",
                               "n=,,n=,r=abc",
                               "p,,n=,r=abc",
                               "p=,,n=,r=abc",
                               "p=a b,,n=,r=abc",
                               "N,,n=,r=abc",
                               "n,x,n=,r=abc",
                               "n,n=,r=abc",
                               "n,,r=abc",
                               "n,,r=abc,n=",
                               "n,,n=",
                               "n,,n=,",
                               "n,,n,r=abc",
                               "n,,n=,r=",
                               "n,,n=,r",
                               "n,,n=,r=a b",
                               "n,,n=,r=\x7f",
                               "n,,n=,r=\xc3\xa4",
                               "n,,n=,r=abc,",
                               "n,,n=,r=abc,,",
                               "n,,n=,r=abc,x",
                               "n,,n=,r=abc,x=",
                               "n,,n=,r=abc,1=a",
                               "n,,n=,r=abc,=a",
                               " n,,n=,r=abc",
                               "n,,n=,r=abc\0"s,
                               "n,,n=\0,r=abc"s,
                               "n,,n=,r=abc\n"});
  refuses<scram_client_first>({"n,a=admin,n=,r=abc", "p=tls-unique,a=x,n=,r=abc"}, errc::scram_authzid);
  refuses<scram_client_first>({"n,,m=x,n=,r=abc", "n,,n=,r=abc,m=x"}, errc::scram_extension);
}

TEST_CASE("nonces have bounds") {
  const auto with = [](std::size_t size) { return scram_client_first::decode("n,,n=,r=" + std::string(size, 'x')); };
  CHECK(with(1));
  CHECK(with(most_scram_client_nonce));
  CHECK_FALSE(with(most_scram_client_nonce + 1));
  CHECK_FALSE(with(1 << 20));
  const std::string both(most_scram_nonce, 'x');
  CHECK(scram_server_first::decode("r=" + both + ",s=c2FsdA==,i=1"));
  CHECK_FALSE(scram_server_first::decode("r=x" + both + ",s=c2FsdA==,i=1"));
  CHECK(scram_client_final::decode("c=biws,r=" + both + ",p=" + proof + "="));
  CHECK_FALSE(scram_client_final::decode("c=biws,r=x" + both + ",p=" + proof + "="));
}

TEST_CASE("server-first") {
  const auto message = scram_server_first::decode(server_first).value();
  CHECK(message.nonce == "abcdef");
  CHECK(message.salt_base64 == "c2FsdA==");
  CHECK(message.iterations == 4096);
  CHECK(message.encode() == server_first);
  CHECK(scram_server_first::decode("r=a,s=c2FsdA==,i=1,x=y"));
  CHECK(scram_server_first::decode("r=a,s=c2FsdA==,i=1000000")->iterations == most_scram_iterations);
  refuses<scram_server_first>({"", "r=a", "r=a,s=c2FsdA==", "r=a,s=c2FsdA==,", "r=a,s=c2FsdA==,i=", "r=a,s=,i=1",
                               "r=,s=c2FsdA==,i=1", "r=a,s=c2FsdA,i=1", "r=a,s=c2 sdA==,i=1", "r=a,i=1,s=c2FsdA==",
                               "s=c2FsdA==,i=1", "r=a,s=c2FsdA==,i=-1", "r=a,s=c2FsdA==,i=+1", "r=a,s=c2FsdA==,i=01",
                               "r=a,s=c2FsdA==,i=1x", "r=a,s=c2FsdA==,i= 1", "r=a,s=c2FsdA==,i=1,", "e=other-error"});
  refuses<scram_server_first>({"r=a,s=c2FsdA==,i=0", "r=a,s=c2FsdA==,i=1000001", "r=a,s=c2FsdA==,i=4294967296",
                               "r=a,s=c2FsdA==,i=99999999999999999999999"},
                              errc::scram_iterations);
  refuses<scram_server_first>({"m=x,r=a,s=c2FsdA==,i=1", "r=a,s=c2FsdA==,i=1,m=x"}, errc::scram_extension);
  const std::string salt(most_scram_salt_bytes, 's');
  CHECK(scram_server_first::decode("r=a,s=" + base64_encode(std::as_bytes(std::span(salt))) + ",i=1"));
  const auto longer = salt + 's';
  CHECK_FALSE(scram_server_first::decode("r=a,s=" + base64_encode(std::as_bytes(std::span(longer))) + ",i=1"));
}

TEST_CASE("client-final") {
  const auto message = scram_client_final::decode(client_final).value();
  CHECK(message.binding_base64 == "biws");
  CHECK(message.nonce == "abcdef");
  CHECK((message.proof == secret_key()));
  CHECK(message.without_proof == "c=biws,r=abcdef");
  CHECK(message.encode() == client_final);
  CHECK(scram_client_final::decode("c=biws,r=a,x=y,p=" + proof + "=")->without_proof == "c=biws,r=a,x=y");
  refuses<scram_client_final>({"", "c=biws", "c=biws,r=a", "c=biws,r=a,", "c=biws,r=a,p",
                               "c=biws,r=a,p=", "c=biws,p=" + proof + "=", "r=a,c=biws,p=" + proof + "=",
                               "c=biws,r=a,p=" + proof, "c=biws,r=a,p=" + proof + "A",
                               "c=biws,r=a,p=A" + proof + "===", "c=biws,r=a,p=AAAA" + proof + "=", "p=" + proof + "=",
                               "c=biws,r=,p=" + proof + "=", client_final + ",", client_final + ",x=y",
                               client_final + "\0"s, "c=biws,r=a,x=,p=" + proof + "=", "n,,n=,r=abc"});
  refuses<scram_client_final>({"c=biws,r=a,m=x,p=" + proof + "="}, errc::scram_extension);
}

TEST_CASE("server-final") {
  CHECK((scram_server_final::decode(server_final)->signature == secret_key()));
  CHECK(scram_server_final::decode(server_final)->encode() == server_final);
  CHECK(scram_server_final::decode("e=invalid-proof")->error == "invalid-proof");
  CHECK(scram_server_final::decode("e=invalid-proof")->encode() == "e=invalid-proof");
  CHECK(scram_server_final::decode(server_final + ",x=y"));
  refuses<scram_server_final>({"", "v", "v=", "e=", "e", "x=y", "v=AAAA", server_final + "A", server_final + ",",
                               "e=a,", server_final + ",e=", "V=" + proof + "="});
  refuses<scram_server_final>({server_final + ",m=x"}, errc::scram_extension);
}

TEST_CASE("messages cut at every byte, and with a byte more") {
  // A text cut inside its last nonce or number is another, valid one; every other cut is refused.
  for (std::size_t size = 0; size < client_first.size(); ++size) {
    CHECK(scram_client_first::decode(client_first.substr(0, size)).has_value() ==
          (size >= client_first.find("abc") + 1));
  }
  for (std::size_t size = 0; size < server_first.size(); ++size) {
    CHECK(scram_server_first::decode(server_first.substr(0, size)).has_value() ==
          (size >= server_first.find("4096") + 1));
  }
  for (std::size_t size = 0; size < client_final.size(); ++size) {
    CHECK_FALSE(scram_client_final::decode(client_final.substr(0, size)));
  }
  for (std::size_t size = 0; size < server_final.size(); ++size) {
    CHECK_FALSE(scram_server_final::decode(server_final.substr(0, size)));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string more(1, static_cast<char>(byte));
    CHECK_FALSE(scram_client_final::decode(client_final + more));
    CHECK_FALSE(scram_server_final::decode(server_final + more));
    CHECK(scram_client_first::decode(client_first + more).has_value() == (byte > 0x20 && byte < 0x7f && byte != ','));
    CHECK_FALSE(scram_server_first::decode(server_first + "," + more));
  }
}

TEST_CASE("messages have bounds") {
  const auto padded = [](const std::string& text, std::size_t size) {
    auto longer = text + ",x=";
    longer.append(size - longer.size(), 'y');
    return longer;
  };
  CHECK(scram_client_first::decode(padded(client_first, most_scram_client_message)));
  CHECK_FALSE(scram_client_first::decode(padded(client_first, most_scram_client_message + 1)));
  CHECK(scram_server_first::decode(padded(server_first, most_scram_server_message)));
  CHECK_FALSE(scram_server_first::decode(padded(server_first, most_scram_server_message + 1)));
  CHECK(scram_server_final::decode(padded(server_final, most_scram_server_message)));
  CHECK_FALSE(scram_server_final::decode(padded(server_final, most_scram_server_message + 1)));
  const auto final_of = [](std::size_t size) {
    const std::string head = "c=biws,r=a,x=";
    const auto tail = ",p=" + proof + "=";
    auto text = head;
    text.append(size - head.size() - tail.size(), 'y').append(tail);
    return scram_client_final::decode(text);
  };
  CHECK(final_of(most_scram_client_message));
  CHECK_FALSE(final_of(most_scram_client_message + 1));
}

}  // namespace scram_messages_test
