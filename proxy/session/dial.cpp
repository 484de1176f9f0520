#include "proxy/session/dial.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/error_text.hpp"
#include "proxy/name_lookup.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

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
  using answer = name_lookup::answer;
  const auto arrival = std::make_shared<delivery<answer>>(home_.context().get_executor());
  looking_up_ = arrival;
  auto pass_on = [to = std::weak_ptr(arrival)](const answer& found) { delivery<answer>::bring(to, found); };
  auto found = home_.shared().names.ask(where.address, arrival, std::move(pass_on));
  if (!found) found = co_await arrival->wait();
  if (!found) co_return std::unexpected(std::string("looking up its name took too long"));
  if (!*found) co_return std::unexpected(found->error());
  std::vector<endpoint> all;
  for (const auto& address : **found) all.emplace_back(asio::ip::tcp::endpoint(address, where.port));
  co_return all;
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
