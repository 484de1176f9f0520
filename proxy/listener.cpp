#include "proxy/listener.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <tuple>
#include <utility>

#include "proxy/error_text.hpp"
#include "proxy/transport.hpp"

namespace proxy {
namespace {

// Out of descriptors: how long the door stays shut, and how often the log hears of it.
constexpr std::chrono::milliseconds shut_for{100};
constexpr std::chrono::seconds complaint_interval{1};

// Connections taken before the main loop looks at anything else.
constexpr int most_at_once = 64;

std::filesystem::path unix_path_of(const conf::listen_settings& where) {
  return where.unix_folder / (".s.PGSQL." + std::to_string(where.port));
}

}  // namespace

std::expected<listener::list, std::string> listener::open(asio::io_context& context, const conf::listen_settings& where,
                                                          inherited_sockets& inherited, const on_visit& visit) {
  std::vector<listening_socket> sockets;
  if (where.unix_folder.empty()) {
    auto made = listen_tcp(inherited, where.address, where.port);
    if (!made) return std::unexpected(made.error());
    sockets = std::move(*made);
  } else {
    auto made = listen_unix(inherited, unix_path_of(where));
    if (!made) return std::unexpected(made.error());
    sockets.push_back(std::move(*made));
  }
  list all;
  all.reserve(sockets.size());
  for (listening_socket& one : sockets) {
    all.push_back(std::make_unique<listener>(context, std::move(one), where, visit));
  }
  return all;
}

listener::listener(asio::io_context& context, listening_socket on, const conf::listen_settings& where, on_visit visit)
    : listening_(context, on.descriptor.release()),
      pause_(context),
      name_(std::move(on.name)),
      file_(std::move(on.file)),
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
  if (!file_.empty()) ::unlink(file_.c_str());
}

void listener::leave_to_successor() {
  file_.clear();
  close();
}

task<void> listener::accept_loop() {
  while (listening_.is_open()) {
    auto [failed] = co_await listening_.async_wait(stream::wait_read, no_throw);
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
                error_text(error));
}

}  // namespace proxy
