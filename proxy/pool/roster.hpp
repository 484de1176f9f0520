// Names to records: each name is hashed once where it comes in, and is a pointer from there on. A record lives while
// somebody holds it; of those nobody holds, the latest few are remembered, since who was here a moment ago comes again
// and its record (how much it has had) should not begin anew, yet a client that makes up names must not fill memory.
//
// What must hold: the roster outlives its handles.
#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <utility>

#include "proxy/pool/ring.hpp"

namespace proxy {

/// What a record derives from.
template <class Name, class Record>
class roster_entry {
 public:
  [[nodiscard]] const Name& name() const { return *name_; }

 private:
  template <class N, class R, class H>
  friend class roster;
  friend Record;
  roster_entry() : unheld_(static_cast<Record*>(this)) {}

  const Name* name_ = nullptr;
  std::size_t holders_ = 0;
  ring_link<Record> unheld_;
};

template <class Name, class Record, class Hash = std::hash<Name>>
class roster {
 public:
  /// Records without a holder that are remembered.
  static constexpr std::size_t most_unheld = 1024;

  /// Keeps its record; empty after a move.
  class handle {
   public:
    handle() = default;
    handle(handle&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
    handle(const handle& other) : of_(other.of_), record_(other.record_) {
      if (record_ != nullptr) ++record_->holders_;
    }
    handle& operator=(handle other) noexcept {
      std::swap(of_, other.of_);
      std::swap(record_, other.record_);
      return *this;
    }
    ~handle() {
      if (record_ != nullptr) of_->let_go(*record_);
    }
    [[nodiscard]] Record* get() const { return record_; }
    Record& operator*() const { return *record_; }
    Record* operator->() const { return record_; }

   private:
    friend class roster;
    handle(roster& of, Record& record) : of_(&of), record_(&record) { of.hold(record); }
    roster* of_ = nullptr;
    Record* record_ = nullptr;
  };

  roster() = default;
  roster(const roster&) = delete;
  roster& operator=(const roster&) = delete;

  /// The record of this name, a new one if there is none.
  handle enrol(const Name& name) {
    auto found = records_.find(name);
    if (found == records_.end()) {
      found = records_.try_emplace(name).first;
      found->second.name_ = &found->first;
    }
    return handle(*this, found->second);
  }
  /// Null if there is none. Valid until a handle of it, or of any other, ends.
  [[nodiscard]] const Record* find(const Name& name) const {
    const auto found = records_.find(name);
    return found == records_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] auto begin() const { return records_.begin(); }
  [[nodiscard]] auto end() const { return records_.end(); }

 private:
  void hold(Record& record) {
    if (record.holders_++ == 0 && record.unheld_.is_in()) {
      record.unheld_.leave();
      --unheld_count_;
    }
  }
  void let_go(Record& record) {
    if (--record.holders_ > 0) return;
    unheld_.push_back(record.unheld_);
    if (++unheld_count_ <= most_unheld) return;
    --unheld_count_;
    records_.erase(records_.find(unheld_.front()->name()));
  }

  std::unordered_map<Name, Record, Hash> records_;
  ring<Record> unheld_;  ///< who was let go of first is first
  std::size_t unheld_count_ = 0;
};

}  // namespace proxy
