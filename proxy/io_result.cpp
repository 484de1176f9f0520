#include "proxy/io_result.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace proxy {

io_result receive_now(int descriptor, std::span<std::byte> into) {
  for (;;) {
    const ssize_t n = ::recv(descriptor, into.data(), into.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return {0, io_status::failed, errno, true};
    if (n < 0) return {0, io_status::would_block, 0, true};
    if (n == 0) return {0, io_status::end, 0, true};
    return {static_cast<std::size_t>(n), io_status::done, 0, n < static_cast<ssize_t>(into.size())};
  }
}

io_result send_now(int descriptor, std::span<const std::byte> from) {
  for (;;) {
    const ssize_t n = ::send(descriptor, from.data(), from.size(), MSG_NOSIGNAL);
    if (n >= 0) return {static_cast<std::size_t>(n), io_status::done, 0, false};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {0, io_status::would_block, 0, false};
    return {0, io_status::failed, errno, false};
  }
}

}  // namespace proxy
