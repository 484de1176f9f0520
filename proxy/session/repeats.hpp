// Which unnamed statements keep coming back: a table of fixed size that forgets by overwriting. A wrong guess costs a
// prepared statement too many or too few, never a wrong result.
#pragma once

#include <array>
#include <cstdint>

namespace proxy {

class repeats {
 public:
  /// Counts one more of this hash; gives how often it was seen, as far as is remembered.
  std::uint32_t count(std::uint64_t hash) {
    entry& at = table_[hash % table_.size()];
    if (at.hash != hash) at = {hash, 0};
    if (at.times < UINT32_MAX) ++at.times;
    return at.times;
  }

 private:
  struct entry {
    std::uint64_t hash = 0;
    std::uint32_t times = 0;
  };
  std::array<entry, 4096> table_{};
};

}  // namespace proxy
