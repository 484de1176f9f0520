#include "proxy/listener.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <tuple>
#include <utility>

#include "proxy/owned_descriptor.hpp"
#include "proxy/transport.hpp"

namespace proxy {
namespace {

// Out of descriptors: how long the door stays shut, and how often the log hears of it.
constexpr std::chrono::milliseconds shut_for{100};
constexpr std::chrono::seconds complaint_interval{1};

// Connections taken before the main loop looks at anything else.
constexpr int most_at_once = 64;

std::string text_of(int error) { return std::generic_category().message(error); }

std::expected<owned_descriptor, int> listen_on(const sockaddr* address, socklen_t size) {
  owned_descriptor fd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return std::unexpected(errno);
  const int on = 1;
  if (address->sa_family != AF_UNIX) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // As PostgreSQL does: "::" is IPv6 only, so that it can stand beside "0.0.0.0".
  if (address->sa_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) return std::unexpected(errno);
  return fd;
}

std::string unix_path_of(const conf::listen_settings& where) {
  return (where.unix_folder / (".s.PGSQL." + std::to_string(where.port))).native();
}

// A socket file that nobody answers on is left over from a process that was killed.
bool somebody_listens(const sockaddr_un& address) {
  const owned_descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int failed = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return failed == 0 || errno == EAGAIN;
}

std::expected<owned_descriptor, std::string> listen_unix(const conf::listen_settings& where) {
  const std::string path = unix_path_of(where);
  const auto refuse = [&](const std::string& why) { return std::unexpected("cannot listen on " + path + ": " + why); };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return refuse("the path is too long for a Unix socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return refuse("something that is no socket is there");
    if (somebody_listens(address)) return refuse("another process listens there");
    ::unlink(path.c_str());
  }
  auto made = listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (!made) return refuse(text_of(made.error()));
  ::chmod(path.c_str(), 0777);  // who may enter is decided by authentication, as with PostgreSQL's own
  return std::move(*made);
}

std::expected<std::vector<owned_descriptor>, std::string> listen_tcp(const conf::listen_settings& where) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  const std::string name = where.address + ":" + port;
  const char* node = where.address == "*" ? nullptr : where.address.c_str();
  if (const int error = ::getaddrinfo(node, port.c_str(), &wanted, &found); error != 0) {
    return std::unexpected("cannot listen on " + name + ": " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> release(found, &::freeaddrinfo);
  std::vector<owned_descriptor> all;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    auto made = listen_on(one->ai_addr, one->ai_addrlen);
    // A name with an address of a family that this machine lacks is no error if another one works.
    if (!made && made.error() == EAFNOSUPPORT && (one->ai_next != nullptr || !all.empty())) continue;
    if (!made) return std::unexpected("cannot listen on " + name + ": " + text_of(made.error()));
    all.push_back(std::move(*made));
  }
  return all;
}

std::string name_of(int listening) {
  endpoint address;
  auto size = static_cast<socklen_t>(address.capacity());
  ::getsockname(listening, address.data(), &size);
  address.resize(size);
  return describe(address);
}

}  // namespace

std::expected<std::vector<std::unique_ptr<listener>>, std::string> listener::open(asio::io_context& context,
                                                                                  const conf::listen_settings& where,
                                                                                  const on_visit& visit) {
  std::vector<owned_descriptor> sockets;
  if (where.unix_folder.empty()) {
    auto made = listen_tcp(where);
    if (!made) return std::unexpected(made.error());
    sockets = std::move(*made);
  } else {
    auto made = listen_unix(where);
    if (!made) return std::unexpected(made.error());
    sockets.push_back(std::move(*made));
  }
  std::vector<std::unique_ptr<listener>> doors;
  doors.reserve(sockets.size());
  for (owned_descriptor& one : sockets) {
    doors.push_back(std::unique_ptr<listener>(new listener(context, one.release(), where, visit)));
  }
  return doors;
}

listener::listener(asio::io_context& context, int listening, const conf::listen_settings& where, on_visit visit)
    : listening_(context, listening),
      pause_(context),
      name_(where.unix_folder.empty() ? name_of(listening) : unix_path_of(where)),
      unix_path_(where.unix_folder.empty() ? "" : name_),
      entry_(where),
      visit_(std::move(visit)) {}

listener::~listener() { close(); }

bool listener::opened_by(const conf::listen_settings& entry) const {
  return std::tie(entry.address, entry.port, entry.unix_folder, entry.tls) ==
         std::tie(entry_.address, entry_.port, entry_.unix_folder, entry_.tls);
}

void listener::start() { asio::co_spawn(listening_.get_executor(), accept_loop(), asio::detached); }

void listener::close() {
  if (!listening_.is_open()) return;
  error_code ignored;
  listening_.close(ignored);
  pause_.cancel();
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

task<void> listener::accept_loop() {
  while (listening_.is_open()) {
    auto [failed] = co_await listening_.async_wait(descriptor::wait_read, no_throw);
    if (failed) co_return;
    if (accept_some()) continue;
    pause_.expires_after(shut_for);
    auto [closed] = co_await pause_.async_wait(no_throw);
    if (closed) co_return;
  }
}

// False when the process has run out of what a connection takes.
bool listener::accept_some() {
  for (int i = 0; i < most_at_once; ++i) {
    endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int fd = ::accept4(listening_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      peer.resize(size);
      tune(peer.data()->sa_family, fd);
      const bool plain_text_allowed =
          entry_.tls == conf::listen_tls_mode::off || entry_.tls == conf::listen_tls_mode::allow;
      visit_(visitor{fd, peer, tls_, plain_text_allowed});
      continue;
    }
    if (errno == EAGAIN) return true;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      complain(errno);
      return false;
    }
    // Anything else is the failure of that one connection (accept(2), "Error handling").
  }
  return true;
}

void listener::complain(int error) {
  const auto now = clock::now();
  if (now - last_complaint_ < complaint_interval) return;
  last_complaint_ = now;
  spdlog::error("{}: cannot accept: {}; clients wait (raise the limit of open files, LimitNOFILE)", name_,
                text_of(error));
}

}  // namespace proxy
