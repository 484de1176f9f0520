#include "proxy/listening_sockets.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "proxy/error_text.hpp"
#include "proxy/transport.hpp"

namespace proxy {
namespace {

std::expected<owned_descriptor, int> listen_on(const sockaddr* address, socklen_t size) {
  owned_descriptor fd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return std::unexpected(errno);
  const int on = 1;
  if (address->sa_family != AF_UNIX) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // As PostgreSQL does: "::" is IPv6 only, so that it can stand beside "0.0.0.0".
  if (address->sa_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) return std::unexpected(errno);
  return fd;
}

endpoint address_of(int listening) {
  endpoint address;
  auto size = static_cast<socklen_t>(address.capacity());
  if (::getsockname(listening, address.data(), &size) != 0) size = 0;
  address.resize(size);
  return address;
}

std::string name_of(const endpoint& address) {
  if (address.data()->sa_family != AF_UNIX) return describe(address);
  const auto* unix_name = reinterpret_cast<const sockaddr_un*>(address.data());
  return std::string(unix_name->sun_path, ::strnlen(unix_name->sun_path, sizeof unix_name->sun_path));
}

int option_of(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
}

bool is_wildcard(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr == htonl(INADDR_ANY);
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr) != 0;
}

// A socket file that nobody answers on is left over from a process that was killed.
bool somebody_listens(const sockaddr_un& address) {
  const owned_descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.is_open()) return true;  // who cannot look leaves the file alone
  const int failed = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return failed == 0 || errno == EAGAIN;
}

// Those of the names that were inherited; where one of them is every address, whatever was bound to all.
std::vector<listening_socket> take_inherited(inherited_sockets& inherited, const addrinfo* names, std::uint16_t port) {
  std::vector<listening_socket> all;
  bool wildcard = false;
  for (const addrinfo* one = names; one != nullptr; one = one->ai_next) {
    wildcard = wildcard || is_wildcard(one->ai_addr);
    std::ranges::move(inherited.take(name_of(endpoint(one->ai_addr, one->ai_addrlen))), std::back_inserter(all));
  }
  if (all.empty() && wildcard) return inherited.take_wildcards(port);
  return all;
}

}  // namespace

std::expected<void, std::string> inherited_sockets::add(owned_descriptor passed, bool file_is_ours) {
  const auto refuse = [&](const std::string& what) {
    return std::unexpected("descriptor " + std::to_string(passed.get()) + ", passed at the start, is " + what);
  };
  const endpoint address = address_of(passed.get());
  if (address.size() == 0) return refuse("no socket");
  if (option_of(passed.get(), SO_TYPE) != SOCK_STREAM || option_of(passed.get(), SO_ACCEPTCONN) == 0) {
    return refuse("no stream socket that listens; in a .socket unit write ListenStream= and leave Accept=no");
  }
  ::fcntl(passed.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(passed.get(), F_SETFL, O_NONBLOCK | ::fcntl(passed.get(), F_GETFL));
  const std::string name = name_of(address);
  const bool has_file = address.data()->sa_family == AF_UNIX && file_is_ours;
  left_.push_back({std::move(passed), name, has_file ? name : ""});
  return {};
}

std::vector<listening_socket> inherited_sockets::take(const std::string& name) {
  std::vector<listening_socket> found;
  const auto fits = std::ranges::find(left_, name, &listening_socket::name);
  if (fits == left_.end()) return found;
  found.push_back(std::move(*fits));
  left_.erase(fits);
  return found;
}

std::vector<listening_socket> inherited_sockets::take_wildcards(std::uint16_t port) {
  auto found = take("0.0.0.0:" + std::to_string(port));
  std::ranges::move(take("[::]:" + std::to_string(port)), std::back_inserter(found));
  return found;
}

std::vector<std::string> inherited_sockets::names() const {
  std::vector<std::string> all;
  all.reserve(left_.size());
  for (const listening_socket& one : left_) all.push_back(one.name);
  return all;
}

std::expected<std::vector<listening_socket>, std::string> listen_tcp(inherited_sockets& inherited,
                                                                     const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string digits = std::to_string(port);
  const auto refuse = [&](const std::string& why) {
    return std::unexpected("cannot listen on " + host + ":" + digits + ": " + why);
  };
  if (const int error = ::getaddrinfo(host == "*" ? nullptr : host.c_str(), digits.c_str(), &wanted, &found);
      error != 0) {
    return refuse(::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> release(found, &::freeaddrinfo);
  std::vector<listening_socket> all = take_inherited(inherited, found, port);
  if (!all.empty()) return all;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    auto made = listen_on(one->ai_addr, one->ai_addrlen);
    // A name with an address of a family that this machine lacks is no error if another one works.
    const bool lacking = !made && (made.error() == EAFNOSUPPORT || made.error() == EADDRNOTAVAIL);
    if (lacking && (one->ai_next != nullptr || !all.empty())) continue;
    if (!made) return refuse(error_text(made.error()));
    const std::string name = name_of(address_of(made->get()));
    all.push_back({std::move(*made), name, ""});
  }
  return all;
}

std::expected<listening_socket, std::string> listen_unix(inherited_sockets& inherited,
                                                         const std::filesystem::path& path) {
  const std::string& name = path.native();
  const auto refuse = [&](const std::string& why) { return std::unexpected("cannot listen on " + name + ": " + why); };
  if (auto there = inherited.take(name); !there.empty()) return std::move(there.front());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) return refuse("the path is too long for a Unix socket");
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  struct stat info{};
  if (::lstat(name.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return refuse("something that is no socket is there");
    if (somebody_listens(address)) return refuse("another process listens there");
    ::unlink(name.c_str());
  }
  auto made = listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (!made) return refuse(error_text(made.error()));
  ::chmod(name.c_str(), 0777);  // who may enter is decided by authentication, as with PostgreSQL's own
  return listening_socket{std::move(*made), name, name};
}

std::expected<listening_socket, std::string> listen_abstract(const std::string& name) {
  const endpoint address = abstract_address(name);
  auto made = listen_on(address.data(), static_cast<socklen_t>(address.size()));
  if (!made) return std::unexpected("cannot listen on @" + name + ": " + error_text(made.error()));
  return listening_socket{std::move(*made), "@" + name, ""};
}

endpoint abstract_address(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::min(name.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, name.data(), length);
  return {&address, offsetof(sockaddr_un, sun_path) + 1 + length};
}

}  // namespace proxy
