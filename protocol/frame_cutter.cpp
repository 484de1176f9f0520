#include "protocol/frame_cutter.hpp"

#include <algorithm>
#include <utility>

#include "protocol/byte_reader.hpp"

namespace pgwire {
namespace {

using attention = frame_rules::attention;

// A message's whole length, its type byte included.
std::size_t whole_length(const std::byte* header) { return std::size_t{load_u32(header + 1)} + 1; }

}  // namespace

const frame_piece* frame_cutter::peek() {
  if (!piece_ && !fault_) cut();
  return piece_ ? &*piece_ : nullptr;
}

void frame_cutter::pop() {
  piece_.reset();
  if (std::exchange(piece_is_held_, false)) memory_->retired = std::exchange(memory_->held, {});
}

frame_cutter::memory& frame_cutter::remember() {
  if (!memory_) memory_ = std::make_unique<memory>();
  return *memory_;
}

void frame_cutter::keep() {
  if (piece_ && !piece_is_held_) {
    // The piece goes back in front of the rest: it lies there already.
    const std::byte* begin = piece_->bytes.data();
    if (!piece_->ends) {
      missing_ = piece_->begins ? 0 : missing_ + piece_->bytes.size();
    } else if (!piece_->begins) {
      missing_ = piece_->bytes.size();
    }
    chunk_ = {begin, piece_->bytes.size() + chunk_.size()};
    piece_.reset();
  }
  std::vector<std::byte> copy(chunk_.begin(), chunk_.end());
  memory& mine = remember();
  mine.retired = std::vector<std::byte>();
  mine.kept = std::move(copy);
  chunk_ = mine.kept;
}

void frame_cutter::put_back(std::span<const std::byte> given) {
  keep();
  std::vector<std::byte> all(given.begin(), given.end());
  all.insert(all.end(), memory_->held.begin(), memory_->held.end());
  all.insert(all.end(), chunk_.begin(), chunk_.end());
  memory_->held = std::vector<std::byte>();
  memory_->kept = std::move(all);
  chunk_ = memory_->kept;
  piece_.reset();
  piece_is_held_ = false;
  missing_ = 0;
  fault_.reset();  // it is found again
}

bool frame_cutter::check(const std::byte* header) {
  const char type = static_cast<char>(*header);
  const auto& rule = rules_->of[static_cast<unsigned char>(type)];
  const std::uint32_t length = load_u32(header + 1);
  if (length >= rule.least_length && length <= rule.most_length) return true;
  fault_ = rule.most_length == 0 ? rule.fault : errc::bad_length;
  faulty_type_ = type;
  return false;
}

void frame_cutter::give(char type, std::span<const std::byte> bytes, bool begins, bool ends) {
  piece_ = frame_piece{type, bytes, begins, ends};
}

void frame_cutter::cut() {
  if (gathers()) return cut_held();
  if (chunk_.empty()) return;
  if (missing_ > 0) {
    const auto taken = std::min(missing_, chunk_.size());
    missing_ -= taken;
    give(0, chunk_.first(taken), false, missing_ == 0);
    chunk_ = chunk_.subspan(taken);
    return;
  }

  // A run of messages nobody looks at, as far as it goes.
  std::size_t run = 0;
  while (chunk_.size() - run >= header_bytes) {
    const std::byte* header = chunk_.data() + run;
    const auto& rule = rules_->of[std::to_integer<std::uint8_t>(*header)];
    if (rule.look != attention::none) break;
    if (!check(header)) break;
    const std::size_t length = whole_length(header);
    if (chunk_.size() - run < length) {
      missing_ = length - (chunk_.size() - run);
      run = chunk_.size();
      break;
    }
    run += length;
  }
  if (run > 0) {
    give(0, chunk_.first(run), true, missing_ == 0);
    chunk_ = chunk_.subspan(run);
    return;
  }
  if (fault_) return;

  if (chunk_.size() < header_bytes) {
    remember().held.assign(chunk_.begin(), chunk_.end());
    chunk_ = {};
    return;
  }
  if (!check(chunk_.data())) return;
  const char type = static_cast<char>(chunk_.front());
  const std::size_t length = whole_length(chunk_.data());
  if (chunk_.size() >= length) {
    give(type, chunk_.first(length), true, true);
    chunk_ = chunk_.subspan(length);
    return;
  }
  const bool whole = rules_->of[static_cast<unsigned char>(type)].look == attention::want_body && length <= most_whole_;
  if (whole) {
    remember().held.assign(chunk_.begin(), chunk_.end());
  } else {
    missing_ = length - chunk_.size();
    give(type, chunk_, true, false);
  }
  chunk_ = {};
}

// A header or a wanted body that is cut between chunks.
void frame_cutter::cut_held() {
  std::vector<std::byte>& held = memory_->held;
  const auto take = [this, &held](std::size_t up_to) {
    const auto more = std::min(up_to - held.size(), chunk_.size());
    held.insert(held.end(), chunk_.begin(), chunk_.begin() + static_cast<std::ptrdiff_t>(more));
    chunk_ = chunk_.subspan(more);
    return held.size() == up_to;
  };
  if (held.size() < header_bytes && !take(header_bytes)) return;
  const std::byte* header = held.data();
  if (!check(header)) return;
  const char type = static_cast<char>(held.front());
  const std::size_t length = whole_length(header);  // before `take`, which may move the header
  const auto look = rules_->of[static_cast<unsigned char>(type)].look;
  if (look == attention::want_body && length <= most_whole_) {
    if (!take(length)) return;
    give(type, held, true, true);
  } else {
    missing_ = length - held.size();
    give(look == attention::none ? char{0} : type, held, true, missing_ == 0);
  }
  piece_is_held_ = true;
}

}  // namespace pgwire
