// What a stream did not take at once: set aside, and sent by a coroutine of its own as the stream takes it.
//
// What it must keep: bytes go out in the order they came in. Ending all waits of a transport does not end this one:
// a session that is told to leave still owes its client what was answered.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "proxy/io.hpp"
#include "proxy/transport.hpp"

namespace proxy {

class outbox {
 public:
  /// `moved` is called whenever some of it has been sent, and when the last of it was sent or lost.
  explicit outbox(std::function<void()> moved) : moved_(std::move(moved)) {}

  /// Sends, or sets aside what `to` does not take now. `alive` keeps this outbox alive meanwhile. False: the stream is
  /// broken.
  bool send(const executor& home, const std::shared_ptr<transport>& to, std::span<const std::byte> bytes,
            std::shared_ptr<void> alive);

  [[nodiscard]] std::size_t size() const { return aside_.size() - sent_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// Something that was begun has been lost: the stream may end in the middle of a message.
  [[nodiscard]] bool cut() const { return cut_; }
  /// What is set aside is not worth sending any more.
  void give_up() { given_up_ = true; }

 private:
  static task<void> drain(outbox* self, std::shared_ptr<transport> to, std::shared_ptr<void> alive);

  std::function<void()> moved_;
  std::string aside_;
  std::size_t sent_ = 0;  // of it
  bool draining_ = false;
  bool given_up_ = false;
  bool cut_ = false;
};

}  // namespace proxy
