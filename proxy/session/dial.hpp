// Connecting to a host: name to addresses, address to connected socket.
//
// A name is looked up by the system's resolver, which cannot be interrupted; the lookup therefore lives on its own
// and is merely no longer waited for when its time is up.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "proxy/transport.hpp"
#include "routing/route.hpp"

namespace proxy {

class dial {
 public:
  /// Both must outlive the operations.
  dial(asio::io_context& context, transport& into) : context_(context), into_(into) {}

  /// The addresses of a host; a folder with a Unix socket has one. The error is for people.
  task<std::expected<std::vector<endpoint>, std::string>> look_up(const routing::host& where);

  struct not_connected {
    std::string why;        ///< for people
    bool by_lodge = false;  ///< it had no descriptor for it
  };
  /// Connects `into` to one address, closing what it was before.
  task<std::expected<void, not_connected>> connect(const endpoint& address);

  /// Ends a running operation, which then fails. To be called again if there may be another.
  void cancel();

 private:
  asio::io_context& context_;
  transport& into_;
  std::weak_ptr<timer> looking_up_;
};

}  // namespace proxy
