// By what is remembered how connections of a key are with a session state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxy/pool/wish.hpp"

namespace proxy {

struct state_key {
  pool_key key;
  std::uint64_t state = 0;  ///< its fingerprint
  friend bool operator==(const state_key&, const state_key&) = default;
};
struct state_key_hash {
  std::size_t operator()(const state_key& of) const { return pool_key_hash{}(of.key) ^ of.state; }
};

}  // namespace proxy
