// How far a lease's connection has come to wear its session's state, and what the client has said meanwhile: where it
// cannot be dressed, that is said again to another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/byte_reader.hpp"
#include "protocol/frame_cutter.hpp"

namespace proxy {

/// Of a lease.
struct dressing {
  std::uint8_t resets = 0;   ///< how often the last state was to be taken off, before anything is put on
  bool under_way = false;    ///< begun, and not known to have succeeded
  bool asked = false;        ///< the server was told to say so
  bool cancel_came = false;  ///< or is on its way, and may hit it
  bool failed = false;
  bool of_new = false;  ///< what nobody had before is dressed for the first time

  /// Nothing of the client's can have run.
  [[nodiscard]] bool is_open() const { return under_way || resets != 0; }
};

/// Of a lease of a connection that somebody had before.
struct first_words {
  static constexpr std::size_t most = std::size_t{1024} * 1024;  ///< in bytes, that are kept

  std::string said;              ///< as it came
  std::uint32_t statements = 0;  ///< in it, as they are counted
  bool fits = true;              ///< all of it is here, and it ends with a message

  /// The next piece of the client's stream, which is done with.
  void note(const pgwire::frame_piece& piece) {
    fits = fits && piece.ends && said.size() + piece.bytes.size() <= most;
    if (fits) said += pgwire::as_text(piece.bytes);
  }
};

}  // namespace proxy
