// A trace shows names, never contents.
#include "protocol/trace.hpp"

#include <catch2/catch.hpp>

namespace trace_test {

using namespace pgwire;
using namespace std::string_literals;

TEST_CASE("trace lines") {
  const auto client = [](char type, const std::string& body) {
    return trace_line(direction::from_client, type, as_bytes(body));
  };
  const auto server = [](char type, const std::string& body) {
    return trace_line(direction::from_server, type, as_bytes(body));
  };
  CHECK(client('Q', "secret\0"s) == "client Query 7");
  CHECK(client('p', "secret\0"s) == "client AuthenticationAnswer 7");
  CHECK(client('P', "s\n1\0secret\0\0\0"s) == "client Parse 13 statement=s?1");
  CHECK(client('B', "p\0s"s) == "client Bind 3 portal=p");
  CHECK(client('D', "Ss\0"s) == "client Describe 3 target=S name=s");
  CHECK(client('?', "") == "client Unknown 0");
  CHECK(server('C', "SELECT 1\0"s) == "server CommandComplete 9 tag=SELECT_1");
  CHECK(server('Z', "I") == "server ReadyForQuery 1 status=I");
  CHECK(server('D', "\0\2secret"s) == "server DataRow 8 columns=2");
  CHECK(server('E', "SERROR\0C42601\0Msecret\0\0"s) == "server ErrorResponse 23 severity=ERROR code=42601");
  CHECK(server('K', "secretsecret") == "server BackendKeyData 12");
  CHECK(server('S', "a\0secret\0"s) == "server ParameterStatus 9 name=a");
}

}  // namespace trace_test
