#include "proxy/transport.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "proxy/error_text.hpp"
#include "proxy/tls_over_ring.hpp"

namespace proxy {
namespace {

// Two small TLS records: Terminate and close_notify, at most 31 bytes each with the ciphers of TLS 1.2 and 1.3.
constexpr int most_goodbye_bytes = 64;

// Terminate in plain text.
constexpr int terminate_bytes = 5;

}  // namespace

void transport::adopt(int family, int descriptor) {
  int on = 1;
  if (::ioctl(descriptor, FIONBIO, &on) != 0 || !watch_.begin(descriptor)) {
    ::close(descriptor);  // the kernel has no room for it: whoever uses it finds it closed
    return;
  }
  descriptor_ = descriptor;
  family_ = family;
}

transport::detached::detached(detached&& other) noexcept
    : family_(other.family_), descriptor_(std::exchange(other.descriptor_, -1)), tls_(std::move(other.tls_)) {}

transport::detached& transport::detached::operator=(detached&& other) noexcept {
  std::swap(family_, other.family_);
  std::swap(descriptor_, other.descriptor_);
  tls_.swap(other.tls_);
  return *this;
}

transport::detached::~detached() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<transport::detached> transport::detach() {
  if (!is_open() || tls_broken_) return std::nullopt;
  if (watch_.ring() != nullptr && !watch_.ring()->leave()) return std::nullopt;
  if (tls_ && watch_.ring() != nullptr) carry_by_socket(tls_, descriptor_);
  watch_.end();
  return detached(family_, std::exchange(descriptor_, -1), std::move(tls_));
}

void transport::adopt(detached&& stream) {
  adopt(stream.family_, std::exchange(stream.descriptor_, -1));
  tls_ = std::move(stream.tls_);
}

task<std::expected<void, no_tls>> transport::secure(tls_stream stream) {
  tls_ = std::move(stream);
  // Until it is done nothing can be said, not even why it was not.
  tls_broken_ = true;
  for (;;) {
    ERR_clear_error();
    const int returned = SSL_do_handshake(tls_.get());
    if (returned == 1) break;
    const io_result outcome = tls_outcome(returned, read_waits_for_);
    if (outcome.status == io_status::end) co_return std::unexpected(no_tls{"the other side closed", true});
    if (outcome.status == io_status::failed) {
      if (outcome.error == 0) co_return std::unexpected(no_tls{tls_failure(tls_), false});
      co_return std::unexpected(no_tls{error_text(outcome.error), true});
    }
    auto [cancelled] = co_await wait_readable();
    if (cancelled) co_return std::unexpected(no_tls{"it took too long", true});
  }
  read_waits_for_ = readable_or_writable::readable;
  tls_broken_ = false;
  co_return std::expected<void, no_tls>();
}

io_result transport::read_some(std::span<std::byte> into) {
  if (tls_) return read_tls(into);
  if (watch_.ring() != nullptr) return watch_.ring()->read_some(into);
  const io_result read = receive_now(descriptor_, into);
  if (read.emptied) watch_.drained();
  return read;
}

io_result transport::write_some(std::span<const std::byte> from) {
  if (tls_) return write_tls(from);
  if (watch_.ring() != nullptr) return watch_.ring()->write_some(from);
  return send_now(descriptor_, from);
}

io_result transport::write_soon(std::span<const std::byte> from) {
  if (tls_ || watch_.ring() == nullptr) return write_some(from);
  return watch_.ring()->write_soon(from);
}

bool transport::owes() {
  auto* const ring = watch_.ring();
  if (ring == nullptr) return false;
  ring->flush();
  return ring->owes();
}

task<void> transport::settle() {
  while (owes()) {
    auto [error] = co_await wait_writable();
    if (error) co_return;
  }
}

void transport::change_ring() {
  if (watch_.ring() == nullptr) {
    watch_.enter_ring();
    if (tls_ && watch_.ring() != nullptr) carry_by_ring(tls_, *watch_.ring());
    return;
  }
  if (tls_) carry_by_socket(tls_, descriptor_);
  watch_.leave_ring();
  if (tls_ && watch_.ring() != nullptr) carry_by_ring(tls_, *watch_.ring());
}

io_result transport::tls_outcome(int returned, readable_or_writable& waits_for) {
  switch (SSL_get_error(tls_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      waits_for = readable_or_writable::readable;
      watch_.drained();
      return {0, io_status::would_block, 0, true};
    case SSL_ERROR_WANT_WRITE: waits_for = readable_or_writable::writable; return {0, io_status::would_block, 0, true};
    case SSL_ERROR_ZERO_RETURN: return {0, io_status::end, 0, true};
    case SSL_ERROR_SYSCALL: tls_broken_ = true; return {0, io_status::failed, errno, true};
    default: tls_broken_ = true; return {0, io_status::failed, 0, true};
  }
}

// A record at a time, until the chunk is full or OpenSSL holds no more: a further read would cost a call to the kernel
// that finds nothing.
io_result transport::read_tls(std::span<std::byte> into) {
  io_result sum;
  while (!into.empty()) {
    ERR_clear_error();
    std::size_t n = 0;
    if (const int returned = SSL_read_ex(tls_.get(), into.data(), into.size(), &n); returned != 1) {
      const io_result outcome = tls_outcome(returned, read_waits_for_);
      // What was read first is given first; the end or the failure comes with the next read.
      if (sum.bytes == 0) return outcome;
      sum.emptied = outcome.status == io_status::would_block;
      return sum;
    }
    sum.bytes += n;
    into = into.subspan(n);
    const bool more = SSL_has_pending(tls_.get()) == 1 || (watch_.ring() != nullptr && watch_.ring()->has_received());
    if (!more) {
      read_waits_for_ = readable_or_writable::readable;
      watch_.unsure();
      sum.emptied = true;
      return sum;
    }
  }
  return sum;
}

// An end is none of what is written: OpenSSL takes a broken pipe for one behind the other side's goodbye.
io_result transport::write_tls(std::span<const std::byte> from) {
  if (tls_broken_) return {0, io_status::failed, EPIPE, true};
  io_result sum;
  while (!from.empty()) {
    ERR_clear_error();
    std::size_t n = 0;
    if (const int returned = SSL_write_ex(tls_.get(), from.data(), from.size(), &n); returned != 1) {
      io_result outcome = tls_outcome(returned, write_waits_for_);
      if (outcome.status == io_status::end) {
        tls_broken_ = true;
        outcome.status = io_status::failed;
      }
      return sum.bytes == 0 ? outcome : sum;
    }
    sum.bytes += n;
    from = from.subspan(n);
  }
  return sum;
}

std::optional<std::byte> transport::peek() {
  std::byte first{};
  const ssize_t n = ::recv(descriptor_, &first, 1, MSG_PEEK);
  if (n < 0) watch_.drained();
  if (n != 1) return std::nullopt;
  return first;
}

// Nothing may be read here: whoever waits for the socket would not hear of it. A client that leaves says so, by
// Terminate and over TLS by its goodbye, too, which nobody has read; one that left more to be read is not done.
bool transport::peer_closed() {
  pollfd state{descriptor_, POLLRDHUP, 0};
  int unread = 0;
  const int goodbye = tls_ ? most_goodbye_bytes : terminate_bytes;
  if (::poll(&state, 1, 0) != 1 || ::ioctl(descriptor_, FIONREAD, &unread) != 0) return false;
  if (watch_.ring() != nullptr) unread += static_cast<int>(watch_.ring()->unread());
  return unread <= goodbye;
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

// TLS has a goodbye of its own, without which the end could be an attacker's (RFC 8446, 6.1).
void transport::say_goodbye() {
  const bool possible = tls_ && !tls_broken_ && SSL_is_init_finished(tls_.get()) == 1;
  if (!possible || (SSL_get_shutdown(tls_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  SSL_shutdown(tls_.get());
}

void transport::shut_write() {
  say_goodbye();
  if (watch_.ring() != nullptr) return watch_.ring()->shut_write();
  ::shutdown(descriptor_, SHUT_WR);
}

void transport::cancel() { watch_.cancel(); }

void transport::close() {
  if (is_open()) say_goodbye();
  tls_.reset();
  may_ring_ = tls_broken_ = false;
  read_waits_for_ = readable_or_writable::readable;
  write_waits_for_ = readable_or_writable::writable;
  watch_.end();
  if (is_open()) ::close(std::exchange(descriptor_, -1));
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
