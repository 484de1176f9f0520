#include "proxy/pool/parameters.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "protocol/backend_messages.hpp"

namespace parameters_test {

namespace {

using proxy::parameter_map;
namespace backend = pgwire::backend;

}  // namespace

TEST_CASE("a greeting is read as it is written, the last of each parameter") {
  const parameter_map known{{"TimeZone", "UTC"}, {"application_name", "x"}};
  CHECK(*proxy::parameters_in(proxy::encode_greeting(known)) == known);
  const std::string twice = proxy::encode_greeting(known) + backend::notice_response{{{'M', "hello"}}}.encode() +
                            backend::parameter_status{"TimeZone", "Asia/Tokyo"}.encode();
  CHECK(*proxy::parameters_in(twice) == parameter_map{{"TimeZone", "Asia/Tokyo"}, {"application_name", "x"}});
  CHECK(proxy::parameters_in("")->empty());
}

TEST_CASE("parameters that are reported again stay the same object") {
  const auto known = std::make_shared<const parameter_map>(parameter_map{{"TimeZone", "UTC"}, {"a", "1"}});
  CHECK(proxy::with_changes(known, {}) == known);
  CHECK(proxy::with_changes(known, {{"a", "1"}}) == known);
  CHECK(*proxy::with_changes(known, {{"a", "2"}, {"b", "3"}}) ==
        parameter_map{{"TimeZone", "UTC"}, {"a", "2"}, {"b", "3"}});
  CHECK(known->size() == 2);
}

}  // namespace parameters_test
