// Cuts a byte stream into messages without copying it: looks at the five-byte headers, checks them, and says how
// much of a chunk may be passed on. Whole chunks go on as they came.
//
// Only of the few message types that mean something to the caller is the visitor called: either at the header
// (`notice`), or once with the body (`want_body`), which is assembled up to 8 KiB and cut beyond that. A message
// that is cut between chunks costs a remembered header of at most 4 bytes; an idle scanner owns no buffer.
//
// What it must keep: the cost per message that means nothing is a header check; nothing is allocated but for wanted
// bodies that are cut between chunks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "protocol/error.hpp"

namespace pgwire {

/// How to treat each message type in one direction of one phase.
struct frame_rules {
  enum class attention : std::uint8_t { none, notice, want_body };
  struct rule {
    std::uint32_t most_length = 0;  ///< of the length field; 0: the type is unknown here
    std::uint32_t least_length = 4;
    attention look = attention::none;
    errc fault = errc::unknown_message_type;  ///< what an unknown type is called: or misplaced_message
  };
  std::array<rule, 256> of;
};

/// What a client may send once it is logged in, and what a server may. Nothing is looked at: copy and choose.
/// Limits are the server's own: 1 GiB - 1 for what carries data, small for what does not (Sync is exactly 4).
/// In the frontend's, 'p' (password, SASL) is misplaced_message.
const frame_rules& frontend_rules();
const frame_rules& backend_rules();

/// What the visitor sees.
struct frame {
  char type = 0;
  std::uint32_t body_length = 0;     ///< as the header says
  std::span<const std::byte> body;   ///< want_body only; valid during the call
  bool truncated = false;            ///< the body was longer than most_wanted_body; `body` is its beginning
};

class frame_scanner {
 public:
  static constexpr std::size_t most_wanted_body = 8 * 1024;

  /// `rules` must outlive the scanner.
  explicit frame_scanner(const frame_rules& rules) : rules_(&rules) {}

  struct outcome {
    std::size_t accepted = 0;    ///< bytes from the chunk's start that may be passed on
    std::optional<errc> error;   ///< then the frame after them is not to be passed on, and the scanner is done for
    char type = 0;               ///< the offending type byte
  };

  /// Looks at the next bytes of the stream. `visit(const frame&)` is called for each message that a rule looks at,
  /// in order: at its header, or when its body is whole. A header that is cut is accepted as far as it goes, which
  /// means that up to 4 bytes of a bad header may already have been passed on.
  template <class Visitor>
  outcome scan(std::span<const std::byte> chunk, Visitor&& visit);

  /// Neither in a header nor in a body.
  [[nodiscard]] bool at_boundary() const;
};

}  // namespace pgwire
