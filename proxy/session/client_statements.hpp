// The prepared statements that a client calls by names of its own. Most sessions have none, and keep a pointer's room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "proxy/pool/prepared_statement.hpp"
#include "proxy/seldom.hpp"

namespace proxy {

struct client_statement {
  statement_ptr statement;
  bool at_server = false;                   ///< named at the server, though perhaps not at the client
  std::optional<std::uint64_t> shape = {};  ///< of its result when the client prepared it
  std::uint64_t parsed_as = 0;              ///< the number of its Parse, if nobody else's is the same; else 0
};

class client_statements {
 public:
  /// Null: none of that name. Valid until it is erased.
  [[nodiscard]] client_statement* find(std::string_view name) { return find_in(all_, name); }
  [[nodiscard]] const client_statement* find(std::string_view name) const { return find_in(all_, name); }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// Nothing happens to one that is there.
  void add(std::string name, const client_statement& what) {
    if (!all_) all_.emplace();
    all_->try_emplace(std::move(name), what);
  }
  void erase(std::string_view name) {
    if (!all_) return;
    if (const auto found = all_->find(name); found != all_->end()) all_->erase(found);
    if (all_->empty()) all_.reset();
  }

  /// Of memory, about. O(statements).
  [[nodiscard]] std::size_t held_bytes() const {
    std::size_t sum = 0;
    if (!all_) return sum;
    for (const auto& [name, known] : *all_) {
      sum += name.size() + (known.statement ? known.statement->text.size() : 0);
    }
    return sum;
  }

 private:
  // Looked up by what stands in a message.
  struct name_hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  template <class All>
  static auto find_in(All& all, std::string_view name) -> decltype(&all->begin()->second) {
    if (!all) return nullptr;
    const auto found = all->find(name);
    return found != all->end() ? &found->second : nullptr;
  }

  seldom<std::unordered_map<std::string, client_statement, name_hash, std::equal_to<>>> all_;
};

}  // namespace proxy
