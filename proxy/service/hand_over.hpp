// An upgrade: a process starts its successor, gives it what cannot be made anew, and hears when that serves.
//
// The two share one socket. By it the old process sends the listening sockets (SCM_RIGHTS, unix(7)) and what was laid
// down at the console (testament.hpp); the new one answers one word when it serves, and then the old one closes its
// doors. Until that word both may accept, so no client is refused; a successor that fails before it changes nothing.
// The end of the socket says that the service manager was told of the new process: it hears nobody but the main one.
#pragma once

#include <sys/types.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/listening_sockets.hpp"
#include "proxy/service/testament.hpp"

namespace proxy {

/// Program and arguments by which a process can be started again. A program without '/' in its name is the file that
/// runs now; any other is looked at again, so that what has been installed there since is what starts.
std::vector<std::string> command_to_start(int argc, const char* const* argv);

/// The old process's side.
class successor {
 public:
  /// Sockets by their descriptors, which stay the caller's, in the order of `own_file`.
  static std::expected<successor, std::string> start(asio::io_context& main, const std::vector<std::string>& command,
                                                     const std::vector<int>& sockets, const testament& what);
  /// Kills it if it has not been heard to serve.
  ~successor();
  successor(successor&& other) noexcept;
  successor& operator=(successor&&) = delete;

  /// Waits until it serves. The error says how it failed.
  task<std::expected<void, std::string>> serves(clock::duration at_most);
  /// That fails now, even if the word has come in this moment.
  void give_up();
  /// The service manager has been told of it, and listens to it from now on.
  void may_speak() { channel_.reset(); }
  [[nodiscard]] pid_t process_id() const { return process_id_; }

 private:
  successor(asio::io_context& main, owned_descriptor channel, pid_t process_id);
  /// Shared with the handler of the bound, which may have run out, and its handler not have run, when the word comes.
  std::shared_ptr<asio::posix::basic_stream_descriptor<executor>> channel_;
  std::unique_ptr<timer> bound_;
  pid_t process_id_ = -1;
  bool served_ = false;
  bool given_up_ = false;
};

/// The new process's side.
class predecessor {
 public:
  /// Nothing: this process was started by something else. Once: processes started by this one are not meant.
  static std::expected<std::optional<predecessor>, std::string> meet();

  testament will;
  inherited_sockets sockets;

  /// This process serves: the old one closes its doors. Ends when this one may speak to the service manager.
  task<void> take_over(asio::io_context& main);

 private:
  owned_descriptor channel_;
};

}  // namespace proxy
