#include "proxy/desk/log_outlet.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <string>

namespace log_outlet_test {

using proxy::desk::log_outlet;
using clock = std::chrono::steady_clock;

namespace {

struct pipe_of_log {
  pipe_of_log() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  ~pipe_of_log() {
    close_reader();
    ::close(ends[1]);
  }
  pipe_of_log(const pipe_of_log&) = delete;
  pipe_of_log& operator=(const pipe_of_log&) = delete;

  void close_reader() {
    if (ends[0] >= 0) ::close(std::exchange(ends[0], -1));
  }
  [[nodiscard]] std::string read() const {
    std::string all(std::size_t{1} << 20, '\0');
    const auto n = ::read(ends[0], all.data(), all.size());
    REQUIRE(n >= 0);
    all.resize(static_cast<std::size_t>(n));
    return all;
  }
  // Until nothing goes in any more. How many lines did.
  static int fill(log_outlet& outlet, const std::string& line) {
    int written = 0;
    while (outlet.write(line)) ++written;
    return written;
  }

  std::array<int, 2> ends{-1, -1};
};

}  // namespace

TEST_CASE("log outlet: lines come out whole, also long ones") {
  const pipe_of_log pipe;
  log_outlet outlet(pipe.ends[1]);
  const std::string line = std::string(20'000, 'x') + "\n";
  CHECK(outlet.write("first\n"));
  CHECK(outlet.write(line));
  CHECK(pipe.read() == "first\n" + line);
}

TEST_CASE("log outlet: who does not read is waited for once, and not at all then") {
  const pipe_of_log pipe;
  log_outlet outlet(pipe.ends[1]);
  const auto began = clock::now();
  CHECK(pipe_of_log::fill(outlet, std::string(999, 'x') + "\n") > 3);
  CHECK(clock::now() - began >= log_outlet::patience);
  const auto full = clock::now();
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(outlet.write("lost\n"));
  CHECK(clock::now() - full < 1000 * log_outlet::patience / 2);
}

TEST_CASE("log outlet: a line that was torn is ended before the next") {
  const pipe_of_log pipe;
  log_outlet outlet(pipe.ends[1]);
  // Four chunks of PIPE_BUF and one byte: the pipe is full in the middle of one.
  const std::string line = std::string(4UL * 4096, 'x') + "\n";
  const int whole = pipe_of_log::fill(outlet, line);
  std::string read = pipe.read();
  CHECK(outlet.write("next\n"));
  read += pipe.read();
  const std::string torn = read.substr(static_cast<std::size_t>(whole) * line.size());
  CHECK(torn.size() > std::string("\nnext\n").size());
  CHECK(torn.find_first_not_of('x') == torn.size() - 6);
  CHECK(torn.substr(torn.size() - 6) == "\nnext\n");
}

TEST_CASE("log outlet: who reads again gets what is written then") {
  const pipe_of_log pipe;
  log_outlet outlet(pipe.ends[1]);
  pipe_of_log::fill(outlet, std::string(4095, 'x') + "\n");
  while (!outlet.write("again\n")) static_cast<void>(pipe.read());
  CHECK(pipe.read().ends_with("again\n"));
}

TEST_CASE("log outlet: nobody there") {
  ::signal(SIGPIPE, SIG_IGN);
  pipe_of_log pipe;
  pipe.close_reader();
  log_outlet outlet(pipe.ends[1]);
  const auto began = clock::now();
  CHECK_FALSE(outlet.write("line\n"));
  CHECK_FALSE(log_outlet(-1).write("line\n"));
  CHECK(clock::now() - began < std::chrono::seconds(5));
}

}  // namespace log_outlet_test
