// What one read or write of a stream came to, as a value; and the two calls that a non-blocking socket takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace proxy {

enum class io_status : std::uint8_t {
  done,         ///< `bytes` were moved (for a read: at least one)
  would_block,  ///< nothing could be moved now; wait for readiness
  end,          ///< read only: the peer will send no more
  failed,       ///< the connection is broken; `error` says how
};

struct io_result {
  std::size_t bytes = 0;
  io_status status = io_status::done;
  int error = 0;         ///< errno when status is failed; 0 if TLS failed
  bool emptied = false;  ///< read only: nothing more is there, as far as is known; wait before the next read
};

[[nodiscard]] io_result receive_now(int descriptor, std::span<std::byte> into);
/// As much as it takes. Never raises SIGPIPE.
[[nodiscard]] io_result send_now(int descriptor, std::span<const std::byte> from);

}  // namespace proxy
