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
#include "proxy/seldom.hpp"

namespace proxy {

class portals {
 public:
  using number = std::uint64_t;  ///< 0: of one that need not be kept in mind

  /// A Bind has been sent. Whatever else is bound under the name of one that is kept in mind takes its place.
  number bind(std::string_view name, const statement_ptr& statement) {
    const bool matters = statement && statement->verdict;
    if (!matters && last_of(name) == nullptr) return 0;
    if (!all_) all_.emplace();
    all_->push_back({std::string(name), matters ? statement : nullptr, ++last_});
    return last_;
  }
  /// A Close has been sent.
  number close() { return all_ ? ++last_ : 0; }

  /// The server has done what got this number: those of this name that were there before are not any more.
  void confirm(std::string_view name, number which) {
    if (!all_) return;
    for (auto one = all_->begin(); one != all_->end() && one->which < which;) {
      one = one->name == name ? all_->erase(one) : one + 1;
    }
  }
  void confirm_bound(number which) {
    if (const auto made = find(which); made != end()) confirm(std::string(made->name), which);
  }
  /// It came to nothing.
  void undo(number which) {
    if (const auto made = find(which); made != end()) all_->erase(made);
  }
  /// With the transaction they are gone.
  void clear() { all_.reset(); }

  /// What Execute would run, if it matters; else null.
  [[nodiscard]] statement_ptr find(std::string_view name) const {
    const portal* found = last_of(name);
    return found != nullptr ? found->statement : nullptr;
  }

 private:
  struct portal {
    std::string name;
    statement_ptr statement;
    number which;
  };
  using list = std::deque<portal>;  // in order of their numbers; what comes and goes is near one of its ends

  [[nodiscard]] list::iterator end() { return all_ ? all_->end() : list::iterator(); }
  [[nodiscard]] list::iterator find(number which) {
    if (!all_) return end();
    const auto found = std::ranges::lower_bound(*all_, which, {}, &portal::which);
    return found != all_->end() && found->which == which ? found : end();
  }
  [[nodiscard]] const portal* last_of(std::string_view name) const {
    if (!all_) return nullptr;
    const auto found = std::find_if(all_->rbegin(), all_->rend(), [&](const portal& one) { return one.name == name; });
    return found != all_->rend() ? &*found : nullptr;
  }

  seldom<list> all_;  // an empty deque has memory, and idle sessions are many
  number last_ = 0;
};

}  // namespace proxy
