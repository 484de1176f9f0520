// Cuts a byte stream into messages without copying it: looks at the five-byte headers, checks them, and says
// how much of a chunk may be passed on. Whole chunks go on as they came.
//
// Only of the few message types that mean something to the caller is the visitor called: either at the header
// (`notice`), or once with the body (`want_body`), which is assembled up to 8 KiB and cut beyond that. A
// message that is cut between chunks costs a remembered header of at most 4 bytes; an idle scanner owns no
// buffer.
//
// What it must keep: the cost per message that means nothing is a header check; nothing is allocated but for
// wanted bodies that are cut between chunks.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "protocol/byte_reader.hpp"
#include "protocol/error.hpp"
#include "protocol/message_type.hpp"

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
/// The frontend's limits are the server's own (SocketBackend in postgres.c): 1 GiB - 2 for what carries data,
/// 10,000 for what does not, exactly 4 for what has no body; 'p' (password, SASL) is misplaced_message.
/// The backend's are as wide as the length field, but for messages of a fixed size: no stricter than any
/// client; R, K and v, which belong to the login only, are misplaced_message.
const frame_rules& frontend_rules();
const frame_rules& backend_rules();

/// What the visitor sees.
struct frame {
  char type = 0;
  std::uint32_t body_length = 0;    ///< as the header says
  std::span<const std::byte> body;  ///< want_body only; valid during the call
  bool truncated = false;           ///< the body is longer than most_wanted_body; `body` is its beginning
};

class frame_scanner {
 public:
  static constexpr std::size_t most_wanted_body = std::size_t{8} * 1024;

  /// `rules` must outlive the scanner.
  explicit frame_scanner(const frame_rules& rules) : rules_(&rules) {}

  /// Other rules from the next message on, which must allow the same types.
  void look_by(const frame_rules& rules) { rules_ = &rules; }

  struct outcome {
    std::size_t accepted = 0;   ///< bytes from the chunk's start that may be passed on
    std::optional<errc> error;  ///< then the frame after them is not to be passed on, and the scanner is done for
    char type = 0;              ///< the offending type byte
  };

  /// Looks at the next bytes of the stream. `visit(const frame&)` is called for each message that a rule
  /// looks at, in order: at its header, or when its body is there (of a truncated one, its beginning). A
  /// header that is cut is accepted as far as it goes, which means that up to 4 bytes of a bad header may
  /// already have been passed on.
  template <class Visitor>
  outcome scan(std::span<const std::byte> chunk, Visitor&& visit);

  /// Neither in a header nor in a body.
  [[nodiscard]] bool at_boundary() const { return missing_ == 0 && header_size_ == 0; }

 private:
  static constexpr std::size_t header_bytes = message_header_bytes;

  /// Shows a message to the visitor, or begins to gather its body. `there` is what the chunk holds behind the
  /// header.
  template <class Visitor>
  void look_at(char type, std::uint32_t body_length, frame_rules::attention look, std::span<const std::byte> there,
               Visitor&& visit);
  /// The rest of a body that an earlier chunk began; gives how much of the chunk that is.
  template <class Visitor>
  std::size_t continue_body(std::span<const std::byte> chunk, Visitor&& visit);

  const frame_rules* rules_;
  std::uint32_t missing_ = 0;      // bytes of the present body that are still to come
  std::uint32_t body_length_ = 0;  // of the body being gathered
  std::uint16_t wanted_ = 0;       // how much of it to gather; 0 if none is
  char type_ = 0;                  // its message
  std::uint8_t header_size_ = 0;
  std::array<std::byte, header_bytes> header_{};
  std::vector<std::byte> body_;
};

template <class Visitor>
frame_scanner::outcome frame_scanner::scan(std::span<const std::byte> chunk, Visitor&& visit) {
  std::size_t at = 0;
  const std::byte* header = nullptr;
  if (missing_ > 0) {
    at = continue_body(chunk, visit);
  } else if (header_size_ > 0) {
    const auto taken = std::min(header_bytes - header_size_, chunk.size());
    std::copy_n(chunk.begin(), taken, header_.begin() + header_size_);
    header_size_ = static_cast<std::uint8_t>(header_size_ + taken);
    if (header_size_ < header_bytes) return {chunk.size(), std::nullopt, 0};
    header_size_ = 0;
    at = taken;
    header = header_.data();
  }

  while (true) {
    const auto accepted = header ? 0 : at;
    if (!header) {
      if (chunk.size() - at < header_bytes) break;
      header = chunk.data() + at;
      at += header_bytes;
    }
    const auto type = std::to_integer<std::uint8_t>(*header);
    const auto length = load_u32(header + 1);
    header = nullptr;
    const auto& rule = rules_->of[type];
    if (length < rule.least_length || length > rule.most_length) [[unlikely]] {
      return {accepted, rule.most_length == 0 ? rule.fault : errc::bad_length, static_cast<char>(type)};
    }
    const auto body_length = length - 4;
    if (rule.look != frame_rules::attention::none) [[unlikely]] {
      look_at(static_cast<char>(type), body_length, rule.look, chunk.subspan(at), visit);
    }
    if (chunk.size() - at < body_length) {
      missing_ = static_cast<std::uint32_t>(body_length - (chunk.size() - at));
      return {chunk.size(), std::nullopt, 0};
    }
    at += body_length;
  }

  header_size_ = static_cast<std::uint8_t>(chunk.size() - at);
  std::copy_n(chunk.begin() + static_cast<std::ptrdiff_t>(at), header_size_, header_.begin());
  return {chunk.size(), std::nullopt, 0};
}

template <class Visitor>
void frame_scanner::look_at(char type, std::uint32_t body_length, frame_rules::attention look,
                            std::span<const std::byte> there, Visitor&& visit) {
  if (look == frame_rules::attention::notice) {
    visit(frame{type, body_length, {}, false});
    return;
  }
  const auto wanted = std::min<std::size_t>(body_length, most_wanted_body);
  if (there.size() >= wanted) {
    visit(frame{type, body_length, there.first(wanted), body_length > wanted});
    return;
  }
  type_ = type;
  body_length_ = body_length;
  wanted_ = static_cast<std::uint16_t>(wanted);
  body_.reserve(wanted);
  body_.assign(there.begin(), there.end());
}

template <class Visitor>
std::size_t frame_scanner::continue_body(std::span<const std::byte> chunk, Visitor&& visit) {
  const auto taken = std::min<std::size_t>(missing_, chunk.size());
  missing_ -= static_cast<std::uint32_t>(taken);
  if (wanted_ > 0) {
    const auto more = chunk.first(std::min(wanted_ - body_.size(), taken));
    body_.insert(body_.end(), more.begin(), more.end());
    if (body_.size() == wanted_) {
      const auto whole = std::exchange(body_, {});
      visit(frame{type_, body_length_, whole, body_length_ > wanted_});
      wanted_ = 0;
    }
  }
  return taken;
}

}  // namespace pgwire
