// Verdicts remembered by the text they were passed on: an application says the same few things over and over, and the
// parser takes its time. Bounded by bytes; what was not asked for longest goes first. Not thread-safe: one per worker.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/statement.hpp"

namespace pgwire {

class verdict_cache {
 public:
  /// Texts longer than this are judged each time: they are hardly ever said twice.
  static constexpr std::size_t longest_text = std::size_t{16} * 1024;

  /// `most_bytes` bounds what is remembered, texts and bookkeeping included; 0 remembers nothing.
  explicit verdict_cache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// The verdict on a text, null if no word in it matters. It stays valid when the cache has forgotten it.
  std::shared_ptr<const verdict> of(std::string_view text);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct entry {
    std::string text;
    std::shared_ptr<const verdict> judged;
    std::size_t bytes = 0;
  };

  void forget_until(std::size_t most);

  std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  std::list<entry> entries_;                                                  ///< the one asked for last in front
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_text_;  ///< the keys are the entries' texts
};

}  // namespace pgwire
