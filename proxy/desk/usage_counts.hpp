// What is counted for a tenant, for billing and for the desk. Each count's line below is its definition.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace proxy::desk {

/// Sums since some moment, but for `peak_clients`. Times are in microseconds.
struct usage_counts {
  std::uint64_t transactions = 0;  ///< ended at a server: each time it says ReadyForQuery with state idle
  std::uint64_t statements = 0;    ///< Query, Execute and FunctionCall messages but those behind a refused one
  std::uint64_t errors = 0;        ///< ErrorResponses to a client that was let in, the server's or the lodge's own
  std::uint64_t rows = 0;          ///< by the number at the end of command tags: returned, changed or copied
  std::uint64_t bytes_in = 0;      ///< from the client, once its session has begun; without those of TLS
  std::uint64_t bytes_out = 0;     ///< to the client, likewise
  std::uint64_t busy = 0;          ///< the time during which it had a server connection on loan, or one of its own
  std::uint64_t waiting = 0;       ///< the time its sessions waited: for a connection, its rates, or to be released
  std::uint64_t connected = 0;     ///< the sum of its sessions' lengths, those under way included
  std::uint64_t peak_clients = 0;  ///< the most sessions at one time

  usage_counts& operator+=(const usage_counts& more);
  /// What was counted since `before`; the peak is this one's.
  [[nodiscard]] usage_counts since(const usage_counts& before) const;
  [[nodiscard]] bool is_zero() const { return *this == usage_counts(); }
  friend bool operator==(const usage_counts&, const usage_counts&) = default;
};

/// For whoever writes, reads or shows all of them; the names are those of the ledger's lines and of the console.
struct usage_count {
  std::string_view name;
  std::uint64_t usage_counts::* value;
};
inline constexpr std::array<usage_count, 10> all_usage_counts{{
    {"transactions", &usage_counts::transactions},
    {"statements", &usage_counts::statements},
    {"errors", &usage_counts::errors},
    {"rows", &usage_counts::rows},
    {"bytes_in", &usage_counts::bytes_in},
    {"bytes_out", &usage_counts::bytes_out},
    {"busy_us", &usage_counts::busy},
    {"waiting_us", &usage_counts::waiting},
    {"connected_us", &usage_counts::connected},
    {"peak_clients", &usage_counts::peak_clients},
}};

inline usage_counts& usage_counts::operator+=(const usage_counts& more) {
  const auto peak = std::max(peak_clients, more.peak_clients);
  for (const auto& [name, value] : all_usage_counts) this->*value += more.*value;
  peak_clients = peak;
  return *this;
}

inline usage_counts usage_counts::since(const usage_counts& before) const {
  usage_counts difference = *this;
  for (const auto& [name, value] : all_usage_counts) difference.*value -= before.*value;
  difference.peak_clients = peak_clients;
  return difference;
}

}  // namespace proxy::desk
