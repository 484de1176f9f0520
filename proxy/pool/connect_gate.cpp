#include "proxy/pool/connect_gate.hpp"

#include <algorithm>

namespace proxy {

std::optional<connect_gate::attempt> connect_gate::try_begin(time_point now) {
  if (under_way_ >= allowed_ || (failing() && now < next_)) return std::nullopt;
  ++under_way_;
  return attempt{round_};
}

void connect_gate::answered() {
  --under_way_;
  failures_ = 0;
  why_.clear();
  allowed_ = std::min(most_at_once, allowed_ + 1);
}

void connect_gate::failed(attempt which, time_point now, double random, std::string why) {
  --under_way_;
  // Others of its round have failed before it, or somebody was let in since: nothing new.
  if (which.round != round_) return;
  ++round_;
  ++failures_;
  why_ = std::move(why);
  allowed_ = 1;
  next_ = now + pause(random);
}

void connect_gate::abandoned() { --under_way_; }

connect_gate::duration connect_gate::pause(double random) const {
  constexpr std::uint64_t most_doublings = 10;
  const auto doublings = std::min(failures_ - 1, most_doublings);
  const duration whole = std::min<duration>(first_pause * (std::uint64_t{1} << doublings), longest_pause);
  return whole / 2 + std::chrono::duration_cast<duration>(std::chrono::duration<double>(whole) / 2 * random);
}

}  // namespace proxy
