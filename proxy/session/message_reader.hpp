// Reads whole messages from a transport, for the few places that need them one by one: the login.
//
// The relay never uses this. What was read beyond the last message taken is kept and can be had with `rest`.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "proxy/transport.hpp"

namespace proxy {

class worker;

/// Why no message came.
enum class read_failure {
  end,        ///< the peer closed
  broken,     ///< the connection failed, or the wait was cancelled
  malformed,  ///< the length field is less than 4 or more than the limit
};

/// A message as it stands in the reader's buffer; valid until the next call of `next`.
struct raw_message {
  char type = 0;
  std::span<const std::byte> body;
  std::string_view wire;  ///< with its header, as it came
};

class message_reader {
 public:
  /// Both must outlive the reader. A message's length field may be at most `limit`.
  message_reader(worker& home, transport& source, std::uint32_t limit) : home_(home), source_(source), limit_(limit) {}

  task<std::expected<raw_message, read_failure>> next();

  [[nodiscard]] std::size_t held_bytes() const { return buffer_.capacity(); }
  /// Takes what was read and not used.
  std::string rest();

 private:
  worker& home_;
  transport& source_;
  std::uint32_t limit_;
  std::string buffer_;
  std::size_t used_ = 0;  ///< bytes of buffer_ that belong to the message returned last
};

}  // namespace proxy
