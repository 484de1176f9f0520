#include "proxy/transport.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace proxy {

void transport::adopt(int family, int descriptor) {
  socket_.assign(asio::generic::stream_protocol(family, 0), descriptor);
  error_code ignored;
  socket_.native_non_blocking(true, ignored);
}

io_result transport::read_some(std::span<std::byte> into) {
  for (;;) {
    const ssize_t n = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    if (n > 0) return {static_cast<std::size_t>(n), io_status::done, 0};
    if (n == 0) return {0, io_status::end, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {0, io_status::would_block, 0};
    return {0, io_status::failed, errno};
  }
}

io_result transport::write_some(std::span<const std::byte> from) {
  for (;;) {
    const ssize_t n = ::send(socket_.native_handle(), from.data(), from.size(), MSG_NOSIGNAL);
    if (n >= 0) return {static_cast<std::size_t>(n), io_status::done, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {0, io_status::would_block, 0};
    return {0, io_status::failed, errno};
  }
}

bool transport::has_input() {
  std::byte probe{};
  return ::recv(socket_.native_handle(), &probe, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

bool transport::peer_closed() {
  std::byte probe{};
  return ::recv(socket_.native_handle(), &probe, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

task<bool> transport::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const io_result wrote = write_some(bytes);
    if (wrote.status == io_status::failed) co_return false;
    bytes = bytes.subspan(wrote.bytes);
    if (wrote.status == io_status::would_block) {
      auto [error] = co_await wait_writable();
      if (error) co_return false;
    }
  }
  co_return true;
}

void transport::shut_write() {
  error_code ignored;
  socket_.shutdown(stream_socket::shutdown_send, ignored);
}

void transport::cancel() {
  error_code ignored;
  socket_.cancel(ignored);
}

void transport::close() {
  error_code ignored;
  socket_.close(ignored);
}

void tune(int family, int descriptor) {
  if (family != AF_INET && family != AF_INET6) return;
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

std::string describe(const endpoint& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const sockaddr* address = peer.data();
  if (address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &in->sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(in->sin_port));
  }
  if (address->sa_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
    ::inet_ntop(AF_INET6, &in6->sin6_addr, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(in6->sin6_port));
  }
  return "unix";
}

}  // namespace proxy
