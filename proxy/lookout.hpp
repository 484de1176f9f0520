// Whom a worker looks at a few times a second, to end what has overstayed: everybody in turn, but for those who rest.
//
// Who rests has no deadline but that of idleness, which is the same for all. So those who rest are kept in the order in
// which that comes, and only the first of them is ever looked at: ten thousand idle sessions cost nothing. Whatever
// happens to one of them it has to be roused first.
//
// Sans I/O, and for one thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <iterator>

#include "proxy/io.hpp"

namespace proxy {

class lookout {
  static constexpr auto not_at_rest = clock::time_point::max();
  static constexpr int most_steps = 16;

 public:
  class resident : public boost::intrusive::list_base_hook<> {
   public:
    [[nodiscard]] bool rests() const { return idle_since_ != not_at_rest; }

   private:
    friend class lookout;
    clock::time_point idle_since_ = not_at_rest;
  };

  void enter(resident& who) { row_.push_back(who); }
  void leave(resident& who) { list_of(who).erase(list_of(who).iterator_to(who)); }

  /// How many do not rest.
  [[nodiscard]] std::size_t awake() const { return row_.size(); }
  /// Whose turn it is; it is at the end of the row then. Null: all rest.
  resident* next() {
    if (row_.empty()) return nullptr;
    row_.splice(row_.end(), row_, row_.begin());
    return &row_.back();
  }

  /// Of one that does not rest. It comes to stand at the end, or near it; who would have to stand further ahead, since
  /// it was roused for nothing, does not rest.
  void rest(resident& who, clock::time_point idle_since) {
    auto place = resting_.end();
    for (int steps = 0; place != resting_.begin() && std::prev(place)->idle_since_ > idle_since; --place) {
      if (++steps > most_steps) return;
    }
    resting_.splice(place, row_, row_.iterator_to(who));
    who.idle_since_ = idle_since;
  }
  /// Does nothing to one that does not rest.
  void rouse(resident& who) {
    if (!who.rests()) return;
    row_.splice(row_.end(), resting_, resting_.iterator_to(who));
    who.idle_since_ = not_at_rest;
  }
  /// Rouses those who have been idle since then, or for longer.
  void rouse_idle_since(clock::time_point then) {
    while (!resting_.empty() && resting_.front().idle_since_ <= then) rouse(resting_.front());
  }

 private:
  using list = boost::intrusive::list<resident>;
  list& list_of(const resident& who) { return who.rests() ? resting_ : row_; }

  list row_;      ///< who is first is next
  list resting_;  ///< who has been idle for longest is first
};

}  // namespace proxy
