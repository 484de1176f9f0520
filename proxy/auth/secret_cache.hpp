// What was found out about roles lately: secrets, and mocks for roles without one. Pure: the time is an argument.
//
// What must hold: bounded. All entries live equally long, so the oldest is always the first to go, by its age or for
// want of room. A client can fill it with names of its own making, and so drive out others: they are merely asked for
// again.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/auth/stored_secret.hpp"

namespace proxy {

class secret_cache {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t most_roles = std::size_t{16} * 1024;

  explicit secret_cache(clock::duration life, std::size_t most = most_roles) : life_(life), most_(most) {}

  void put(const std::string& role, stored_secret_ptr secret, clock::time_point now);
  /// Null if nothing is known, or not any more.
  [[nodiscard]] stored_secret_ptr find(std::string_view role, clock::time_point now) const;
  /// Forgets what is known of it, unless that is younger than `least_age`.
  void doubt(std::string_view role, clock::duration least_age, clock::time_point now);
  [[nodiscard]] std::size_t size() const { return by_age_.size(); }

 private:
  struct entry {
    std::string role;
    stored_secret_ptr secret;
    clock::time_point born;
  };
  [[nodiscard]] bool is_stale(const entry& one, clock::time_point now) const { return now - one.born >= life_; }

  clock::duration life_;
  std::size_t most_;
  std::list<entry> by_age_;                                                   ///< the oldest first
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_role_;  ///< keys are views into the entries
};

}  // namespace proxy
