// How a ring comes about.
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "proxy/error_text.hpp"
#include "proxy/io_ring.hpp"

namespace proxy {
namespace {

// Requests that one exchange can carry; for more there are two.
constexpr unsigned most_requests = 512;
// Answers that wait to be looked at; the kernel keeps what goes beyond.
constexpr unsigned most_answers = 4096;

// What a kernel that keeps its word needs a few of.
constexpr int most_tries = 10'000;

std::string in_words(std::string_view call, int error) { return std::string(call) + ": " + error_text(error); }

}  // namespace

std::expected<std::unique_ptr<io_ring>, std::string> io_ring::open(asio::io_context& loop, look_size& served) {
  std::unique_ptr<io_ring> made(new io_ring(loop, served));
  made->turning_ = true;  // as yet, by hand
  if (auto failed = made->set_up(); !failed.empty()) return std::unexpected(std::move(failed));
  if (auto failed = made->prove(); !failed.empty()) return std::unexpected(std::move(failed));
  made->turning_ = false;
  const auto at_edge = [](void* self) { static_cast<io_ring*>(self)->turn(); };
  made->edge_ = std::make_unique<standing_watch>(loop, made->bell_.get(), at_edge, made.get());
  return made;
}

// One thread hands over requests, and nothing is done behind its back: the kernel does its part of the work within
// the thread's own calls, which spares it the interruptions.
std::string io_ring::set_up() {
  auto ring = std::make_unique<io_uring>();
  io_uring_params wanted{};
  wanted.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  wanted.cq_entries = most_answers;
  if (const int failed = io_uring_queue_init_params(most_requests, ring.get(), &wanted); failed != 0) {
    return in_words("io_uring_setup", -failed);
  }
  ring_.reset(ring.release());
  if (const int failed = io_uring_register_ring_fd(ring_.get()); failed < 0) {
    return in_words("io_uring_register", -failed);
  }
  void* const room =
      ::mmap(nullptr, buffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return in_words("mmap", errno);
  stock_.reset(static_cast<io_uring_buf_ring*>(room));
  io_uring_buf_reg described{};
  described.ring_addr = reinterpret_cast<std::uintptr_t>(room);
  described.ring_entries = buffers;
  described.bgid = stock_group;
  if (const int failed = io_uring_register_buf_ring(ring_.get(), &described, 0); failed != 0) {
    return in_words("io_uring_register", -failed);
  }
  bell_ = owned_descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell_.is_open()) return in_words("eventfd", errno);
  if (const int failed = io_uring_register_eventfd(ring_.get(), bell_.get()); failed != 0) {
    return in_words("io_uring_register", -failed);
  }
  io_uring_buf_ring_init(stock_.get());
  for (std::uint16_t i = 0; i < buffers; ++i) give_back(i);
  return {};
}

// A kernel that kept silent about a send that fell short would lose bytes: what everything here relies on is tried
// before anything depends on it.
std::string io_ring::prove() {
  struct line final : owner {
    void on_ring(bool, bool) override {}
    ~line() {
      for (const int end : ends) ::close(end);
    }
    std::array<int, 2> ends{-1, -1};
  } tried;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, tried.ends.data()) != 0) {
    return in_words("socketpair", errno);
  }
  stream& near = add(tried.ends[0], tried);
  const std::vector<std::byte> much(most_queued, std::byte{'x'});
  std::size_t taken = 0;
  for (int tries = 0; !near.owes() && tries < most_tries; ++tries) {
    taken += near.write_soon(much).bytes;
    near.flush();
  }
  std::size_t came = 0;
  std::vector<std::byte> into(most_queued);
  for (int tries = 0; came < taken && tries < most_tries; ++tries) {
    const ssize_t n = ::recv(tried.ends[1], into.data(), into.size(), 0);
    if (n > 0) came += static_cast<std::size_t>(n);
    exchange();
  }
  const bool whole = came == taken && !near.owes();
  const bool listens = near.receive();
  exchange();
  const bool sent = listens && ::send(tried.ends[1], "?", 1, MSG_NOSIGNAL) == 1;
  exchange();
  const bool heard = sent && near.read_some(into).bytes == 1;
  ::shutdown(tried.ends[0], SHUT_RDWR);
  news_.clear();
  near.readable_news_ = near.writable_news_ = false;
  near.end();
  exchange();
  return whole && heard ? std::string() : "the kernel's io_uring does not keep what it promises";
}

}  // namespace proxy
