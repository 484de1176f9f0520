// Where the log's lines leave the process, without ever waiting long for who reads them: what reads a pipe may have
// stopped, and a daemon must not stop with it.
//
// A reader that is merely slow is given a moment. Once it has let that pass, nobody waits for it any more until it
// reads again: a line goes out at once or is lost.
//
// A write of PIPE_BUF bytes does not block after poll(2) has said that there is room (pipe(7)), unless another process
// writes to the same pipe just then. The descriptor is not made non-blocking, since it may be shared with a terminal.
#pragma once

#include <chrono>
#include <string_view>

namespace proxy::desk {

class log_outlet {
 public:
  static constexpr std::chrono::milliseconds patience{100};

  /// The descriptor stays its owner's.
  explicit log_outlet(int descriptor) : descriptor_(descriptor) {}

  /// A whole line, its newline included. False: it is lost, or only its beginning came out. Interrupted by no signal,
  /// raises SIGPIPE if that is not ignored.
  bool write(std::string_view line);

 private:
  bool put(std::string_view text);

  int descriptor_;
  bool is_stuck_ = false;
  bool is_torn_ = false;  ///< the last line has come out in part
};

}  // namespace proxy::desk
