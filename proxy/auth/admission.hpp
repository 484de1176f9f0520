// Who may authenticate now, and who waits for whom: so many at a time over the whole daemon, fewer from one
// neighbourhood. Pure.
//
// An authentication lasts as long as its client likes to take over it, up to timeouts.startup. Therefore the bound is
// wide, and no one address can take all places; it is there so that a storm of clients finds a queue and not a daemon
// that is busy with all of them at once.
//
// What must hold: who was let in leaves once; who waits is told once or gives up once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "conf/network.hpp"

namespace proxy {

class admission {
 public:
  struct bounds {
    std::size_t at_a_time = 512;
    std::size_t of_one_neighbourhood = 128;
    std::size_t waiting = 4096;
  };
  /// Who asks: a number of the caller's, and where it comes from; nothing for Unix sockets, which count only as a
  /// whole.
  struct visitor {
    std::uint64_t id = 0;
    std::optional<conf::ip_address> neighbourhood;
  };
  enum class answer : std::uint8_t { enter, wait, refuse };

  admission() = default;
  explicit admission(const bounds& limits) : limits_(limits) {}

  answer arrive(const visitor& who);
  /// Who was let in has left. Gives who enters in its place, if anybody waits who may.
  std::optional<std::uint64_t> leave(const visitor& who);
  /// Who waited does not wait any more.
  void give_up(std::uint64_t id);

  [[nodiscard]] std::size_t inside() const { return inside_; }
  [[nodiscard]] std::size_t waiting() const { return queue_.size(); }

 private:
  [[nodiscard]] bool has_place(const visitor& who) const;
  void enter(const visitor& who);

  bounds limits_;
  std::size_t inside_ = 0;
  std::map<conf::ip_address, std::size_t> by_neighbourhood_;  ///< of those inside
  std::list<visitor> queue_;                                  ///< who came first is first
};

}  // namespace proxy
