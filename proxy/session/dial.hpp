// Connecting to a host: name to addresses, address to connected socket.
//
// A name is looked up by `name_lookup`, which cannot be interrupted: it is merely no longer waited for when its time is
// up.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "proxy/auth/wait_point.hpp"
#include "proxy/transport.hpp"
#include "routing/route.hpp"

namespace proxy {

class worker;

class dial {
 public:
  /// Both must outlive the operations.
  dial(worker& home, transport& into) : home_(home), into_(into) {}

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
  worker& home_;
  transport& into_;
  std::weak_ptr<wait_point> looking_up_;
};

}  // namespace proxy
