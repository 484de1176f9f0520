// The client's connection during its authentication: sends requests, and reads the answers one by one.
//
// Apart from the session's other readers because of what is read: an answer may be a password, so it goes from the
// socket into memory that wipes itself, never through the worker's scratch. It reads no byte beyond the answer, which
// leaves the stream to whoever comes next as it is.
//
// The type byte is judged before the length is believed: a second StartupMessage has no type, and what looks like its
// length would be waited for in vain (CVE-2026-107350 was such a message).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "protocol/error.hpp"
#include "protocol/secret.hpp"
#include "proxy/transport.hpp"

namespace proxy {

/// Why there is no answer.
struct auth_fault {
  bool is_gone = false;                                 ///< the client left, or the wait was cancelled
  pgwire::errc code = pgwire::errc::misplaced_message;  ///< else: what is wrong with what it sent
};

class auth_channel {
 public:
  /// Must outlive the channel.
  explicit auth_channel(transport& client) : client_(client) {}

  /// False: the client is gone.
  task<bool> send(std::string_view message);

  /// The body of the client's next message, which must be of type 'p' with a body of at most `most` bytes. Errors:
  /// misplaced_message, bad_length.
  task<std::expected<pgwire::secret_string, auth_fault>> answer(std::size_t most);

 private:
  task<bool> fill(std::span<std::byte> wanted);

  transport& client_;
};

}  // namespace proxy
