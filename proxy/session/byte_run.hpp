// Bytes on their way out: a view as long as they go on as they came, a copy as soon as something is put between.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "protocol/byte_reader.hpp"

namespace proxy {

class byte_run {
 public:
  /// Bytes of the chunk at hand; they must stay where they are until the run is sent or `own` was called.
  void pass(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    if (copied_.empty() && (view_.empty() || view_.data() + view_.size() == bytes.data())) {
      view_ = {view_.empty() ? bytes.data() : view_.data(), view_.size() + bytes.size()};
    } else {
      insert(pgwire::as_text(bytes));
    }
  }
  /// Bytes that may go away at once.
  void insert(std::string_view bytes) {
    own();
    copied_ += bytes;
  }
  /// From now on the run does not depend on what was passed.
  void own() {
    if (view_.empty()) return;
    copied_ += pgwire::as_text(view_);
    view_ = {};
  }

  [[nodiscard]] bool empty() const { return view_.empty() && copied_.empty(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return copied_.empty() ? view_ : pgwire::as_bytes(copied_); }
  void clear() {
    view_ = {};
    copied_.clear();
  }

 private:
  std::span<const std::byte> view_;
  std::string copied_;  // never beside a view
};

}  // namespace proxy
