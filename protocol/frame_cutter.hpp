// Cuts a byte stream into messages for whoever must decide about each: the pooled session's two directions.
//
// Where frame_scanner only looks at what passes, the cutter hands the stream out in pieces, one at a time, so that
// a reader can stop before a message, answer it, change it or leave it out. Messages that nobody looks at come as
// runs, as long as the chunk holds; of those that are wanted whole, one that is cut between chunks is gathered.
//
// What it must keep: no byte of a message comes out before its header has been checked; nothing is copied but what
// is cut between chunks or what `keep` is told to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/frame_scanner.hpp"
#include "protocol/message_type.hpp"

namespace pgwire {

/// A whole message, a run of whole messages, or a part of one.
struct frame_piece {
  char type = 0;                     ///< 0: messages that no rule looks at, or a further part of the message before
  std::span<const std::byte> bytes;  ///< as they came, headers included
  bool begins = true;                ///< it starts at a message boundary
  bool ends = true;                  ///< it ends at one

  /// Of a whole message: what follows the header.
  [[nodiscard]] std::span<const std::byte> body() const { return bytes.subspan(5); }
};

class frame_cutter {
 public:
  /// Of each type, `look` says: none, it may be part of a run; notice, it comes as pieces of its own, the first of
  /// which has at least its header; want_body, it comes whole if the chunk has all of it or it has at most `most_whole`
  /// bytes, else as notice. `rules` must outlive the cutter.
  frame_cutter(const frame_rules& rules, std::size_t most_whole) : rules_(&rules), most_whole_(most_whole) {}

  /// Other rules from the next piece on, which must allow the same types. Between messages.
  void look_by(const frame_rules& rules, std::size_t most_whole) {
    rules_ = &rules;
    most_whole_ = most_whole;
  }

  /// The next bytes of the stream, once the chunk before has been used up. They must stay until `peek` has given
  /// nothing, or until `keep`.
  void feed(std::span<const std::byte> chunk) {
    release();
    chunk_ = chunk;
  }

  /// The next piece; null: all was given, more bytes are needed, or there is a fault. Its bytes stay where they are
  /// until `feed`, `keep` or `release`, even after `pop`.
  const frame_piece* peek();
  void pop();

  /// Copies what is left of the chunk, so that its bytes may go. What `peek` gave must be asked for again.
  void keep();

  /// What was given last, up to the end of a message, is to be given again, before what is left: a copy of it. No
  /// message may be half given.
  void put_back(std::span<const std::byte> given);

  /// Frees the memory of pieces that were popped. Nothing may be left of what was fed.
  void release() {
    if (!memory_) return;
    if (memory_->held.empty()) return memory_.reset();
    // From {} a vector would take over no elements and keep its memory.
    memory_->kept = std::vector<std::byte>();
    memory_->retired = std::vector<std::byte>();
  }

  /// Drops all that was fed. Nothing may be fed again.
  void forget() {
    memory_.reset();
    piece_.reset();
    chunk_ = {};
  }

  /// In bytes, what has come of a wanted body that is not whole.
  [[nodiscard]] std::size_t gathered() const { return memory_ ? memory_->held.size() : 0; }
  /// What it keeps of the stream.
  [[nodiscard]] std::size_t held_bytes() const {
    return memory_ ? memory_->held.capacity() + memory_->kept.capacity() + memory_->retired.capacity() : 0;
  }

  /// A header that the rules forbid. No piece comes after it.
  [[nodiscard]] const std::optional<errc>& fault() const { return fault_; }
  [[nodiscard]] char faulty_type() const { return faulty_type_; }
  /// All that was fed has been given, and it ended with a message.
  [[nodiscard]] bool at_boundary() const { return missing_ == 0 && !gathers() && chunk_.empty() && !piece_; }

 private:
  static constexpr std::size_t header_bytes = message_header_bytes;

  bool check(const std::byte* header);
  void cut();
  void cut_held();
  void give(char type, std::span<const std::byte> bytes, bool begins, bool ends);

  const frame_rules* rules_;
  std::size_t most_whole_;
  std::span<const std::byte> chunk_;  // not yet given
  // Buffers that keep their address when they are moved, which a short std::string does not.
  struct memory {
    std::vector<std::byte> held;     // of a message that is wanted whole or whose header is cut: what came so far
    std::vector<std::byte> retired;  // one that was popped, to which somebody may still point
    std::vector<std::byte> kept;     // what `keep` copied; chunk_ then points here
  };
  [[nodiscard]] bool gathers() const { return memory_ && !memory_->held.empty(); }
  memory& remember();
  std::unique_ptr<memory> memory_;  // most chunks hold whole messages
  std::size_t missing_ = 0;         // bytes of the message being given that are still to come
  std::optional<frame_piece> piece_;
  bool piece_is_held_ = false;
  std::optional<errc> fault_;
  char faulty_type_ = 0;
};

}  // namespace pgwire
