// A binary heap that knows where each of its items is, so that one can be moved or taken out when its rank changes.
//
// The rank is kept beside the item as a copy: what it is computed from may change for several items at once, and they
// are then set one by one with the heap in order all the time. It also spares the comparisons a look at the item.
//
// What must hold: an item is in one heap at a time, and does not move in memory while it is.
#pragma once

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace proxy {

/// What an item derives from.
class heap_item {
 public:
  [[nodiscard]] bool is_in_heap() const { return heap_at_ != nowhere; }

 private:
  template <class Rank, class T>
  friend class ranked_heap;
  static constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();
  std::size_t heap_at_ = nowhere;
};

template <class Rank, class T>
class ranked_heap {
 public:
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// The least rank and its item; there must be one.
  [[nodiscard]] const Rank& best_rank() const { return entries_.front().rank; }
  [[nodiscard]] T& best() const { return *entries_.front().item; }

  /// The item comes in with this rank, or has it from now on.
  void set(T& item, const Rank& rank) {
    if (!item.is_in_heap()) {
      place(item) = entries_.size();
      entries_.push_back({rank, &item});
    } else {
      entries_[place(item)].rank = rank;
    }
    settle(place(item));
  }

  /// The item leaves; nothing happens if it is in no heap.
  void erase(T& item) {
    if (!item.is_in_heap()) return;
    const std::size_t at = std::exchange(place(item), heap_item::nowhere);
    const entry last = entries_.back();
    entries_.pop_back();
    if (at == entries_.size()) return;
    entries_[at] = last;
    place(*last.item) = at;
    settle(at);
  }

 private:
  struct entry {
    Rank rank;
    T* item;
  };
  static std::size_t& place(T& item) { return static_cast<heap_item&>(item).heap_at_; }

  // Brings the entry at `at` where it belongs; all others are in order.
  void settle(std::size_t at) {
    const entry moving = entries_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!(moving.rank < entries_[parent].rank)) break;
      put(at, entries_[parent]);
      at = parent;
    }
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() && entries_[child + 1].rank < entries_[child].rank) ++child;
      if (!(entries_[child].rank < moving.rank)) break;
      put(at, entries_[child]);
      at = child;
    }
    put(at, moving);
  }
  void put(std::size_t at, entry one) {
    entries_[at] = one;
    place(*one.item) = at;
  }

  std::vector<entry> entries_;
};

}  // namespace proxy
