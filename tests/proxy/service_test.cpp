// What one process leaves to the next, and the mark of cancel requests that lodges pass on.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "proxy/listening_sockets.hpp"
#include "proxy/service/hand_over.hpp"
#include "proxy/service/testament.hpp"
#include "proxy/session/neighbour_lodges.hpp"
#include "tests/temporary_folder.hpp"

namespace service_test {

using namespace proxy;

TEST_CASE("a testament is read as it was written", "[service]") {
  testament will;
  will.cancel_doors = {"pglodge-cancel-a", "pglodge-cancel-b"};
  will.log_level = "debug";
  will.own_file = {true, false};
  will.overrides.tenants["acme"] = {routing::tenant_state::suspended, "call \"billing\""};
  will.overrides.places["shared"] = {true, false};
  will.overrides.log_levels["globex"] = "debug";
  will.overrides.everything_paused = true;
  const auto read = testament::from_json(will.to_json());
  REQUIRE(read);
  CHECK(read->cancel_doors == will.cancel_doors);
  CHECK(read->log_level == "debug");
  CHECK(read->own_file == will.own_file);
  CHECK(read->overrides.tenants == will.overrides.tenants);
  CHECK(read->overrides.places == will.overrides.places);
  CHECK(read->overrides.log_levels == will.overrides.log_levels);
  CHECK(read->overrides.everything_paused);
}

TEST_CASE("another version's testament", "[service]") {
  SECTION("what is missing is as at a fresh start, what is new is ignored") {
    const auto read = testament::from_json(R"({"something": [1, 2], "log_level": "warn"})");
    REQUIRE(read);
    CHECK(read->log_level == "warn");
    CHECK(read->overrides.tenants.empty());
  }
  SECTION("what makes no sense is refused") {
    const std::string text =
        GENERATE("", "[]", "{", R"({"log_level": 1})",
                 R"({"overrides": {"tenants": {"acme": {"state": "asleep", "message": ""}}}})",
                 R"({"overrides": {"tenants": {"acme": {}}}})",
                 R"({"overrides": {"places": {"shared": {"paused": 1}}}})", R"({"own_file": "yes"})");
    CAPTURE(text);
    CHECK_FALSE(testament::from_json(text));
  }
}

TEST_CASE("what listens already is taken once, by its address", "[service]") {
  inherited_sockets none;
  auto first = listen_tcp(none, "127.0.0.1", 0);
  REQUIRE(first);
  REQUIRE(first->size() == 1);
  const std::string name = first->front().name;
  const auto port = static_cast<std::uint16_t>(std::stoi(name.substr(name.rfind(':') + 1)));
  const int number = first->front().descriptor.get();

  inherited_sockets passed;
  REQUIRE(passed.add(std::move(first->front().descriptor), false));
  CHECK(passed.names() == std::vector<std::string>{name});
  auto second = listen_tcp(passed, "127.0.0.1", port);
  REQUIRE(second);
  CHECK(second->front().descriptor.get() == number);
  CHECK(passed.names().empty());
  const auto third = listen_tcp(passed, "127.0.0.1", port);
  REQUIRE_FALSE(third);
  CHECK(third.error() == "cannot listen on " + name + ": Address already in use");
}

TEST_CASE("a socket for both families is what listens on every address", "[service]") {
  owned_descriptor both(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  if (::bind(both.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) return;  // a machine without IPv6
  REQUIRE(::listen(both.get(), 1) == 0);
  socklen_t size = sizeof any;
  REQUIRE(::getsockname(both.get(), reinterpret_cast<sockaddr*>(&any), &size) == 0);
  const std::uint16_t port = ntohs(any.sin6_port);
  const int number = both.get();
  const std::string host = GENERATE("*", "0.0.0.0", "::");
  inherited_sockets passed;
  REQUIRE(passed.add(std::move(both), false));
  auto taken = listen_tcp(passed, host, port);
  REQUIRE(taken);
  REQUIRE(taken->size() == 1);
  CHECK(taken->front().descriptor.get() == number);
}

TEST_CASE("what is passed must be a stream socket that listens", "[service]") {
  inherited_sockets passed;
  CHECK_FALSE(passed.add(owned_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), false));
  CHECK_FALSE(passed.add(owned_descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), false));
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const owned_descriptor other(pipe[1]);
  CHECK_FALSE(passed.add(owned_descriptor(pipe[0]), false));
  CHECK(passed.names().empty());
}

TEST_CASE("a Unix socket's file is removed by who made it", "[service]") {
  const tests::temporary_folder folder;
  inherited_sockets none;
  auto made = listen_unix(none, folder.path() / ".s.PGSQL.6432");
  REQUIRE(made);
  CHECK(made->file == made->name);
  const bool ours = GENERATE(true, false);
  inherited_sockets passed;
  REQUIRE(passed.add(std::move(made->descriptor), ours));
  const auto taken = listen_unix(passed, folder.path() / ".s.PGSQL.6432");
  REQUIRE(taken);
  CHECK(taken->file == (ours ? taken->name : ""));
}

TEST_CASE("a cancel request that was passed on is told from a client's", "[service]") {
  const std::size_t length = GENERATE(as<std::size_t>{}, 4, 32);
  const std::vector<std::byte> secret(length, std::byte{7});
  const pgwire::cancel_key key(42, secret);
  CHECK_FALSE(without_mark(key));
  const auto marked = marked_as_passed_on(key);
  REQUIRE(marked);
  const auto again = without_mark(*marked);
  REQUIRE(again);
  CHECK(*again == key);
  CHECK_FALSE(marked_as_passed_on(pgwire::cancel_key(1, std::vector<std::byte>(256))));
}

TEST_CASE("a process that nobody has started for an upgrade has no predecessor", "[service]") {
  const auto met = predecessor::meet();
  REQUIRE(met);
  CHECK_FALSE(met->has_value());
  ::setenv("PGLODGE_CHANNEL", "no number", 1);
  const auto lied_to = predecessor::meet();
  REQUIRE_FALSE(lied_to);
  CHECK(lied_to.error().find("names no descriptor") != std::string::npos);
  CHECK(std::getenv("PGLODGE_CHANNEL") == nullptr);
}

TEST_CASE("the program of an upgrade is looked up as it was named", "[service]") {
  const std::array<const char*, 3> by_path{"/opt/pglodge/current/pglodge", "serve", "-c"};
  CHECK(command_to_start(3, by_path.data()) == std::vector<std::string>{"/opt/pglodge/current/pglodge", "serve", "-c"});
  const std::array<const char*, 1> by_name{"pglodge"};
  CHECK(command_to_start(1, by_name.data()).front() == std::filesystem::read_symlink("/proc/self/exe").native());
}

}  // namespace service_test
