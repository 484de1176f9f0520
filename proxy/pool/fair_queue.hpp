// Who is served next, of all who wait for a connection of one server. Sans I/O; knows nothing of connections, only how
// many each tenant has.
//
// A tenant is a *flow*. Next is the flow that has the fewest connections for its weight; among equals, the one that is
// behind in virtual time, which advances by 1/weight with each grant (start-time fair queueing); within a flow, who
// came first. A flow that begins to wait starts at the queue's virtual time, so nobody saves up credit by staying away.
//
// Who waits also waits before a *gate* (the place whose size counts). A closed gate or a barred flow is passed over and
// holds up nobody else. For that to cost O(log n) each gate keeps its own heap of the flows that wait before it, and a
// heap of the open gates, by their best, is on top: closing a gate that thousands wait before is one step.
//
// What must hold: the owner calls `reposition` after it changed what a flow or a gate says of itself. Flows, gates and
// waiters do not move in memory while somebody waits, and outlive the waiting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/pool/ranked_heap.hpp"
#include "proxy/pool/ring.hpp"

namespace proxy {

class fair_queue {
 public:
  /// Of a flow: none of it may be served; it may if there is more than what is reserved; it may if there is anything.
  enum class standing : std::uint8_t { barred, ordinary, guaranteed };

  /// Less is sooner.
  struct rank {
    std::uint32_t lent = 0;
    std::uint32_t weight = 1;
    std::uint64_t virtual_time = 0;
    std::uint64_t arrival = 0;  ///< of the first who waits
    friend bool operator<(const rank& a, const rank& b) {
      // lent / weight, without dividing: both sides fit, being products of two 32-bit numbers.
      const std::uint64_t left = std::uint64_t{a.lent} * b.weight, right = std::uint64_t{b.lent} * a.weight;
      if (left != right) return left < right;
      if (a.virtual_time != b.virtual_time) return a.virtual_time < b.virtual_time;
      return a.arrival < b.arrival;
    }
  };

  struct waiter;
  struct flow;
  struct gate;
  class line;

  /// Those of one flow before one gate who stand equally: one of the two sides of a gate.
  struct gate_side : heap_item {
    ranked_heap<rank, line> lines;
  };
  struct gate {
    bool open = true;
    std::array<gate_side, 2> sides;  ///< ordinary, guaranteed
  };
  struct flow {
    std::uint32_t lent = 0;
    std::uint32_t weight = 1;  ///< at least 1
    standing stands = standing::ordinary;
    std::size_t waiting = 0;

   private:
    friend class fair_queue;
    std::uint64_t virtual_time_ = 0;            ///< when its next grant starts
    std::vector<std::unique_ptr<line>> lines_;  ///< one for each gate it waits before: nearly always one
  };
  /// Who waits: its owner derives from it.
  struct waiter {
    waiter() : link_(this) {}
    [[nodiscard]] bool waits() const { return line_ != nullptr; }

   private:
    friend class fair_queue;
    friend class line;
    ring_link<waiter> link_;
    line* line_ = nullptr;
    std::uint64_t arrival_ = 0;
  };
  /// Those of one flow who wait before one gate, first come first served.
  class line : public heap_item {
    friend class fair_queue;
    line(flow& of, gate& before) : of_(&of), before_(&before) {}
    flow* of_;
    gate* before_;
    ring<waiter> waiters_;
    gate_side* in_ = nullptr;  ///< null while the flow is barred
  };

  fair_queue() = default;
  fair_queue(const fair_queue&) = delete;
  fair_queue& operator=(const fair_queue&) = delete;

  void push(waiter& who, flow& of, gate& before);
  /// Leaves unserved.
  void withdraw(waiter& who);
  /// Leaves served: its flow is charged for a grant.
  void take(waiter& who);
  /// Charges the flow for a grant to one who did not have to wait.
  void charge(flow& of);

  /// The next of the flows that may be served and whose gate is open; null if there is none.
  [[nodiscard]] waiter* next(bool guaranteed_only) const;
  /// The first of one flow before one gate, on the same terms; null if there is none.
  [[nodiscard]] waiter* next_of(const flow& of, const gate& before, bool guaranteed_only) const;
  /// Of the line that `who` stands in, the first among its first `most` for whom this holds; null if there is none.
  template <class Predicate>
  [[nodiscard]] static waiter* among_first(const waiter& who, std::size_t most, const Predicate& is_it) {
    for (waiter& each : who.line_->waiters_) {
      if (most-- == 0) return nullptr;
      if (is_it(each)) return &each;
    }
    return nullptr;
  }
  /// Whose it is that waits.
  [[nodiscard]] static const flow& flow_of(const waiter& who) { return *who.line_->of_; }

  /// After `lent`, `weight` or `stands` changed.
  void reposition(flow& changed);
  /// After `open` changed.
  void reposition(gate& changed);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  /// Of a flow of weight 1. Room for more than 10^13 grants.
  static constexpr std::uint64_t cost_of_grant = std::uint64_t{1} << 20;

  void step_out(waiter& who);
  static void close_if_empty(line& one);
  void reposition(line& one);
  void refresh(const gate& of, gate_side& side);

  std::array<ranked_heap<rank, gate_side>, 2> open_sides_;  ///< ordinary, guaranteed
  std::uint64_t virtual_time_ = 0;                          ///< the latest start of a grant
  std::uint64_t next_arrival_ = 0;
  std::size_t size_ = 0;
};

}  // namespace proxy
