#include "proxy/session/dial.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>

#include "proxy/error_text.hpp"

namespace proxy {
namespace {

using resolver = asio::ip::basic_resolver<asio::ip::tcp, executor>;

// A lookup and whoever waits for it: they share it, because the lookup may outlive the waiting.
struct lookup {
  explicit lookup(asio::io_context& context) : names(context), done(context, clock::time_point::max()) {}
  resolver names;
  timer done;
  bool finished = false;
  error_code error;
  std::vector<endpoint> addresses;
};

// A machine that is gone says nothing. Who waits for its answer learns that after two minutes, not after the two hours
// that are the kernel's default.
void notice_loss(int family, int descriptor) {
  if (family != AF_INET && family != AF_INET6) return;
  const int idle = 60;
  const int interval = 10;
  const int count = 6;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

std::expected<endpoint, std::string> unix_address(const routing::host& where) {
  const std::string path = where.address + "/.s.PGSQL." + std::to_string(where.port);
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) return std::unexpected("the socket's path is too long: " + path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return endpoint(&address, sizeof address);
}

}  // namespace

task<std::expected<std::vector<endpoint>, std::string>> dial::look_up(const routing::host& where) {
  if (where.address.starts_with('/')) {
    const auto address = unix_address(where);
    if (!address) co_return std::unexpected(address.error());
    co_return std::vector<endpoint>{*address};
  }
  error_code no_literal;
  const auto literal = asio::ip::make_address(where.address, no_literal);
  if (!no_literal) co_return std::vector<endpoint>{endpoint(asio::ip::tcp::endpoint(literal, where.port))};

  auto running = std::make_shared<lookup>(context_);
  looking_up_ = std::shared_ptr<timer>(running, &running->done);
  auto on_answer = [running](error_code error, const resolver::results_type& answers) {
    running->finished = true;
    running->error = error;
    for (const auto& answer : answers) running->addresses.emplace_back(answer.endpoint());
    running->done.cancel();
  };
  running->names.async_resolve(where.address, std::to_string(where.port), std::move(on_answer));
  co_await running->done.async_wait(no_throw);
  if (!running->finished) {
    running->names.cancel();
    co_return std::unexpected(std::string("looking up its name took too long"));
  }
  if (running->error) co_return std::unexpected("its name was not found: " + running->error.message());
  co_return std::move(running->addresses);
}

task<std::expected<void, dial::not_connected>> dial::connect(const endpoint& address) {
  into_.close();
  const int family = address.data()->sa_family;
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) co_return std::unexpected(not_connected{"no socket for it: " + error_text(errno), true});
  into_.adopt(family, descriptor);
  if (!into_.is_open()) co_return std::unexpected(not_connected{"the event loop has no room for its socket", true});
  tune(family, descriptor);
  notice_loss(family, descriptor);
  if (::connect(descriptor, address.data(), static_cast<socklen_t>(address.size())) != 0) {
    if (errno != EINPROGRESS) co_return std::unexpected(not_connected{error_text(errno)});
    auto [cancelled] = co_await into_.wait_writable();
    if (cancelled) co_return std::unexpected(not_connected{"connecting took too long"});
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) co_return std::unexpected(not_connected{error_text(error)});
  }
  co_return std::expected<void, not_connected>();
}

void dial::cancel() {
  if (const auto waiting = looking_up_.lock()) waiting->cancel();
  into_.cancel();
}

}  // namespace proxy
