// Portals whose statements do something to their session, or may ask for COPY data, from when they are bound to when
// they are known to be gone.
//
// A name may be bound anew before it is known whether that succeeded: if it fails, the portal of before may still be
// there, since it was made outside a savepoint, say. So the last of a name counts, and those before are kept until the
// server has confirmed it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/pool/prepared_statement.hpp"
#include "proxy/seldom.hpp"

namespace proxy {

class portals {
 public:
  using number = std::uint64_t;  ///< 0: of one that need not be kept in mind

  /// A Bind has been sent. Whatever else is bound under the name of one that is kept in mind takes its place.
  number bind(std::string_view name, const statement_ptr& statement) {
    const bool matters = statement && (statement->verdict || statement->may_copy);
    if (!matters && last_of(name) == nullptr) return 0;
    if (!all_) all_.emplace();
    const auto at = all_->by_name.try_emplace(std::string(name)).first;
    at->second.push_back({++last_, matters ? statement : nullptr});
    all_->names.emplace_hint(all_->names.end(), last_, at);
    return last_;
  }
  /// A Close has been sent.
  number close() { return all_ ? ++last_ : 0; }

  /// The server has done what got this number: those of this name that were there before are not any more.
  void confirm(std::string_view name, number which) {
    if (!all_) return;
    if (const auto at = all_->by_name.find(name); at != all_->by_name.end()) confirm(at, which);
  }
  void confirm_bound(number which) {
    if (const auto* at = find(which)) confirm(*at, which);
  }
  /// It came to nothing.
  void undo(number which) {
    const auto* found = find(which);
    if (found == nullptr) return;
    const auto at = *found;
    at->second.erase(std::ranges::lower_bound(at->second, which, {}, &portal::which));
    all_->names.erase(which);
    if (at->second.empty()) all_->by_name.erase(at);
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
    number which;
    statement_ptr statement;
  };
  using lists = std::map<std::string, std::vector<portal>, std::less<>>;  // each in order of its numbers
  struct index {
    lists by_name;
    std::map<number, lists::iterator> names;
  };

  void confirm(lists::iterator at, number which) {
    const auto end = std::ranges::lower_bound(at->second, which, {}, &portal::which);
    for (auto gone = at->second.begin(); gone != end; ++gone) all_->names.erase(gone->which);
    at->second.erase(at->second.begin(), end);
    if (at->second.empty()) all_->by_name.erase(at);
  }
  [[nodiscard]] const lists::iterator* find(number which) const {
    if (!all_) return nullptr;
    const auto found = all_->names.find(which);
    return found != all_->names.end() ? &found->second : nullptr;
  }
  [[nodiscard]] const portal* last_of(std::string_view name) const {
    if (!all_) return nullptr;
    const auto found = all_->by_name.find(name);
    return found != all_->by_name.end() ? &found->second.back() : nullptr;
  }

  seldom<index> all_;
  number last_ = 0;
};

}  // namespace proxy
