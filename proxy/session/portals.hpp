// Portals whose statements do something to their session, from when they are bound to when they are known to be gone.
//
// A name may be bound anew before it is known whether that succeeded: if it fails, the portal of before may still be
// there, since it was made outside a savepoint, say. So the last of a name counts, and those before are kept until the
// server has confirmed it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "proxy/pool/prepared_statement.hpp"

namespace proxy {

class portals {
 public:
  using number = std::uint64_t;  ///< 0: of one that need not be kept in mind

  /// A Bind has been sent. Whatever else is bound under the name of one that is kept in mind takes its place.
  number bind(std::string_view name, const statement_ptr& statement) {
    const bool matters = statement && statement->verdict;
    if (!matters && std::ranges::find(all_, name, &portal::name) == all_.end()) return 0;
    all_.push_back({std::string(name), matters ? statement : nullptr, ++last_});
    return last_;
  }
  /// A Close has been sent.
  number close() { return all_.empty() ? 0 : ++last_; }

  /// The server has done what got this number: those of this name that were there before are not any more.
  void confirm(std::string_view name, number which) {
    for (auto one = all_.begin(); one != all_.end() && one->which < which;) {
      one = one->name == name ? all_.erase(one) : one + 1;
    }
  }
  void confirm_bound(number which) {
    const auto made = std::ranges::lower_bound(all_, which, {}, &portal::which);
    if (made != all_.end() && made->which == which) confirm(std::string(made->name), which);
  }
  /// It came to nothing.
  void undo(number which) {
    const auto made = std::ranges::lower_bound(all_, which, {}, &portal::which);
    if (made != all_.end() && made->which == which) all_.erase(made);
  }
  /// With the transaction they are gone.
  void clear() { all_.clear(); }

  /// What Execute would run, if it matters; else null.
  [[nodiscard]] statement_ptr find(std::string_view name) const {
    const auto found = std::find_if(all_.rbegin(), all_.rend(), [&](const portal& one) { return one.name == name; });
    return found != all_.rend() ? found->statement : nullptr;
  }

 private:
  struct portal {
    std::string name;
    statement_ptr statement;
    number which;
  };
  std::deque<portal> all_;  ///< in order of their numbers; what comes and goes is near one of its ends
  number last_ = 0;
};

}  // namespace proxy
