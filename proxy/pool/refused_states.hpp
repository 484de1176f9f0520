// Session states that a new connection would not wear: a role that is not there, a value that the server does not take.
//
// To find that out costs a connection, which is closed, and where it was one that somebody had before, a new one as
// well. Clients that come again and again for a tenant whose route names a role that is gone would thus close the
// others' connections as fast as they can be opened. So the server's answer is kept for a second, and given to whoever
// wants to wear the same. Then one of them tries again, and the others hear the old answer until it has had its time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "protocol/error_response.hpp"
#include "proxy/pool/state_key.hpp"
#include "routing/session_state.hpp"

namespace proxy {

/// Of one server.
class refused_states {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::milliseconds kept_for{1000};
  static constexpr std::chrono::milliseconds time_to_try{200};
  static constexpr std::size_t most = 1000;  ///< the same error again, beyond, costs what it costs

  /// Whether the same state would come to the same by all that is known: not so what was cancelled, what ran out of
  /// something, or an error inside the server.
  [[nodiscard]] static bool is_lasting(std::string_view sqlstate);

  enum class who : std::uint8_t {
    asks,         ///< for a connection
    was_granted,  ///< one, after waiting, or had one: it may be the one that tries again
  };

  /// A new connection of that key did not take it.
  void add(const pool_key& key, const routing::session_state_ptr& state, pgwire::error_report why, time_point now);
  /// Nothing: nobody knows, so try it.
  [[nodiscard]] std::optional<pgwire::error_report> find(const pool_key& key, const routing::session_state& state,
                                                         who wants, time_point now);
  void forget_old(time_point now);
  [[nodiscard]] bool empty() const { return known_.empty(); }

 private:
  struct entry {
    routing::session_state_ptr state;
    pgwire::error_report why;
    time_point until;
    bool tried_again = false;
  };
  std::unordered_map<state_key, entry, state_key_hash> known_;  // of two with one fingerprint, the later
};

}  // namespace proxy
