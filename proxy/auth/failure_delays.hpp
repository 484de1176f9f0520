// How long nobody may try again after somebody was wrong, by how often that was of late. Pure: the time is an argument.
//
//   failures   1   2   3      4    5    6    7    8 and more
//   delay      0   0   0.5 s  1 s  2 s  4 s  8 s  10 s
//
// The delay counts from the last failure, not from when a client comes, so that many who come at once do not serve it
// side by side. It holds for right and wrong passwords alike: were only failures delayed, whoever guesses would not
// wait for them. Two failures are free, since many programs first try without a password. A success forgets nothing, or
// whoever has one password could try others for ever; a minute without failures does.
//
// It holds for one role from one neighbourhood: a program that keeps trying an old password holds up nobody but itself
// at an address that many share. Whoever goes through roles instead is stopped by the neighbourhood, for which the
// first failures of each role count, up to the first that is delayed, and twenty of them are free.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "conf/network.hpp"
#include "proxy/auth/failure_table.hpp"

namespace proxy {

/// Who tries to come in, as far as delays tell one from another.
struct auth_applicant {
  conf::ip_address neighbourhood;
  std::size_t role = 0;  ///< its hash: a name is as long as a client likes
  friend auto operator<=>(const auth_applicant&, const auth_applicant&) = default;
};
/// Nothing for Unix sockets, which have no delays.
std::optional<auth_applicant> applicant_of(const std::optional<conf::ip_address>& peer, std::string_view role);

class failure_delays {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::uint32_t free_of_role = 2;
  static constexpr std::uint32_t free_of_neighbourhood = 20;
  static constexpr std::chrono::milliseconds first_delay{500};
  static constexpr std::chrono::milliseconds most_delay{10'000};

  void failed(const auth_applicant& who, clock::time_point now);
  /// Nothing: it has no delay to wait for now.
  [[nodiscard]] std::optional<clock::time_point> closed_until(const auth_applicant& who, clock::time_point now) const;

 private:
  failure_table<auth_applicant> by_role_;
  failure_table<conf::ip_address> by_neighbourhood_;
};

/// What so many failures in a row cost, if so many are free.
failure_delays::clock::duration delay_after(std::uint32_t failures, std::uint32_t are_free);

}  // namespace proxy
