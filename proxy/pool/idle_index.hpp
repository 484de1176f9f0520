// The idle connections of one server, and which of them suits a wish best.
//
// A connection that wears the wanted state costs nothing, so the most recently used of those is taken, whose caches are
// hot. Any other must be dressed and loses what it wore: first one that last served the tenant, then any, the least
// recently used in both cases, so that the clothes most likely to be wanted again last longest. Among equals one of the
// client's own worker, which need not move between threads.
//
// Each idle connection stands in one list for each question that may be asked, in the order of use. Lists by state or
// tenant are too many to be kept when empty: they share buckets by hash. Nothing is allocated, and nothing is searched
// but a bucket's strangers and, in places that have no room, connections of other places with the same key.
//
// What must hold: what the index sorts by (key, place, tenant, state, worker) does not change while a connection is in.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "proxy/pool/ring.hpp"
#include "proxy/pool/wish.hpp"

namespace proxy {

struct idle_place;
struct idle_pool;

/// What the index knows of a connection.
struct pooled {
  pooled() : by_pool(this), by_place(this), by_age(this) {}

  connection_id id = 0;
  idle_pool* pool = nullptr;     ///< of its key
  idle_place* place = nullptr;   ///< it belongs to
  const void* tenant = nullptr;  ///< it serves, or last served
  std::uint64_t state = 0;
  unsigned worker = 0;
  std::chrono::steady_clock::time_point idle_since;

  ring_link<pooled> by_pool, by_place, by_age;
  std::array<ring_link<pooled>, 5> by_hash{ring_link{this}, ring_link{this}, ring_link{this}, ring_link{this},
                                           ring_link{this}};
};
/// The idle connections of one key, and those of one place; the least recently used first.
struct idle_pool {
  ring<pooled> idle;
};
struct idle_place {
  ring<pooled> idle;
};

class idle_index {
 public:
  struct demand {
    const idle_pool* pool = nullptr;
    const void* tenant = nullptr;
    std::uint64_t state = 0;
    unsigned worker = 0;
    const idle_place* only_of = nullptr;  ///< not null: nothing of other places
  };

  idle_index();

  /// Comes in as the most recently used.
  void enter(pooled& one);
  void leave(pooled& one);

  /// Null if none will do.
  [[nodiscard]] pooled* choose(const demand& wanted) const;

  /// The least recently used first.
  [[nodiscard]] const ring<pooled>& by_age() const { return by_age_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  enum question : std::uint8_t { state_and_worker, state, tenant_and_worker, tenant, worker };
  static std::uint64_t hash(question asked, const demand& wanted);
  static bool answers(question asked, const demand& wanted, const pooled& one);
  [[nodiscard]] ring<pooled>& bucket(question asked, const demand& wanted) const;
  void hang(pooled& one);
  void grow();

  std::unique_ptr<ring<pooled>[]> buckets_;
  std::size_t mask_;
  ring<pooled> by_age_;
  std::size_t size_ = 0;
};

}  // namespace proxy
