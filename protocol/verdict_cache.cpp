#include "protocol/verdict_cache.hpp"

namespace pgwire {
namespace {

// List node, map node and bucket, control block of the shared pointer, and what the allocator adds to each.
constexpr std::size_t bookkeeping = 240;

std::size_t weight(const operand& value) { return sizeof value + value.text.capacity(); }

std::size_t weight(const std::vector<std::string>& names) {
  std::size_t bytes = names.capacity() * sizeof(std::string);
  for (const auto& name : names) bytes += name.capacity();
  return bytes;
}

std::size_t weight(const verdict& judged) {
  std::size_t bytes = sizeof judged + judged.statements.capacity() * sizeof(verdict::span);
  bytes += weight(judged.prepares) + weight(judged.executes) + weight(judged.deallocates);
  bytes += judged.settings.capacity() * sizeof(setting_change);
  for (const auto& setting : judged.settings) {
    bytes += weight(setting.name);
    for (const auto& value : setting.values) bytes += weight(value);
  }
  return bytes;
}

}  // namespace

std::shared_ptr<const verdict> verdict_cache::of(std::string_view text) {
  if (!may_matter(text)) return nullptr;
  if (const auto found = by_text_.find(text); found != by_text_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->judged;
  }
  auto judged = std::make_shared<const verdict>(judge(text));
  if (text.size() > longest_text) return judged;
  const auto bytes = bookkeeping + text.size() + weight(*judged);
  if (bytes > most_bytes_) return judged;
  forget_until(most_bytes_ - bytes);
  entries_.push_front({.text = std::string(text), .judged = judged, .bytes = bytes});
  by_text_.emplace(entries_.front().text, entries_.begin());
  bytes_ += bytes;
  return judged;
}

void verdict_cache::forget_until(std::size_t most) {
  while (bytes_ > most) {
    const auto& oldest = entries_.back();
    bytes_ -= oldest.bytes;
    by_text_.erase(oldest.text);
    entries_.pop_back();
  }
}

}  // namespace pgwire
