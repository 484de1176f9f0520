// A list whose links lie inside what it lists: nothing is allocated, and whoever is in it can leave without knowing the
// list. The ledger's connections and waiters each stand in several lists at once.
//
// What must hold: a link stays where it is in memory while it is in a ring; it leaves its ring when it is destroyed,
// and a ring that is destroyed lets everybody go.
#pragma once

namespace proxy {

template <class T>
class ring;

/// One membership of `owner` in a ring.
template <class T>
class ring_link {
 public:
  explicit ring_link(T* owner) : owner_(owner) {}
  ring_link(const ring_link&) = delete;
  ring_link& operator=(const ring_link&) = delete;
  ~ring_link() { leave(); }

  [[nodiscard]] bool is_in() const { return next_ != this; }
  /// Does nothing if it is in no ring.
  void leave() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  friend class ring<T>;
  ring_link* previous_ = this;
  ring_link* next_ = this;
  T* owner_;  ///< null: the ring itself
};

template <class T>
class ring {
 public:
  class iterator {
   public:
    explicit iterator(const ring_link<T>* at) : at_(at) {}
    T& operator*() const { return *at_->owner_; }
    iterator& operator++() {
      at_ = at_->next_;
      return *this;
    }
    bool operator==(const iterator&) const = default;

   private:
    const ring_link<T>* at_;
  };

  ring() : head_(nullptr) {}
  ~ring() {
    while (head_.is_in()) head_.next_->leave();
  }
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  [[nodiscard]] bool empty() const { return !head_.is_in(); }
  /// The first and the last; null if the ring is empty.
  [[nodiscard]] T* front() const { return head_.next_->owner_; }
  [[nodiscard]] T* back() const { return head_.previous_->owner_; }
  /// The link leaves the ring it is in, if any.
  void push_back(ring_link<T>& link) {
    link.leave();
    link.previous_ = head_.previous_;
    link.next_ = &head_;
    head_.previous_->next_ = &link;
    head_.previous_ = &link;
  }
  /// The first, or the last, for which `is_it` holds; null if there is none.
  template <class Predicate>
  [[nodiscard]] T* first_where(const Predicate& is_it) const {
    for (const auto* at = head_.next_; at != &head_; at = at->next_) {
      if (is_it(*at->owner_)) return at->owner_;
    }
    return nullptr;
  }
  template <class Predicate>
  [[nodiscard]] T* last_where(const Predicate& is_it) const {
    for (const auto* at = head_.previous_; at != &head_; at = at->previous_) {
      if (is_it(*at->owner_)) return at->owner_;
    }
    return nullptr;
  }

  [[nodiscard]] iterator begin() const { return iterator(head_.next_); }
  [[nodiscard]] iterator end() const { return iterator(&head_); }

 private:
  ring_link<T> head_;
};

}  // namespace proxy
