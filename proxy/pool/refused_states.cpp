#include "proxy/pool/refused_states.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace proxy {

// Appendix A of PostgreSQL's manual: 0A feature not supported, 22 data exception (which an unknown role is), 28 invalid
// authorization, 42 syntax error or access rule violation; 55P02 cant_change_runtime_param.
bool refused_states::is_lasting(std::string_view sqlstate) {
  static constexpr std::array<std::string_view, 4> classes{"0A", "22", "28", "42"};
  return sqlstate == "55P02" || std::ranges::find(classes, sqlstate.substr(0, 2)) != classes.end();
}

void refused_states::add(const pool_key& key, const routing::session_state_ptr& state, pgwire::error_report why,
                         time_point now) {
  const state_key which{key, state->fingerprint()};
  if (known_.size() >= most && !known_.contains(which)) return;
  known_.insert_or_assign(which, entry{state, std::move(why), now + kept_for});
}

std::optional<pgwire::error_report> refused_states::find(const pool_key& key, const routing::session_state& state,
                                                         who wants, time_point now) {
  const auto found = known_.find({key, state.fingerprint()});
  if (found == known_.end() || *found->second.state != state) return std::nullopt;
  entry& one = found->second;
  if (wants == who::was_granted && (one.tried_again || now >= one.until)) return std::nullopt;
  if (now < one.until) return one.why;
  if (one.tried_again) {  // and nothing was heard of it
    known_.erase(found);
  } else {
    one.tried_again = true;
    one.until = now + time_to_try;
  }
  return std::nullopt;
}

void refused_states::forget_old(time_point now) {
  std::erase_if(known_, [now](const auto& one) { return now >= one.second.until + kept_for; });
}

}  // namespace proxy
