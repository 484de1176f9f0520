// The users file: roles and their secrets, in the format of PgBouncer's auth_file.
//
//   ; a comment has its line to itself
//   "app"     "SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>"
//   "report"  "md5..."
//   "batch"   "the password itself, a "" is a double quote"   what stands here is ignored
//   "guest"   ""                                              known, but no password lets it in
//
// Read strictly, where PgBouncer passes over things: every line is blank, a comment or a role; names are there once,
// and can be a role's; a secret that looks like one of PostgreSQL's is one. '#' begins no comment, as with PgBouncer.
//
// What must hold: no error says anything of what a line holds, not even the name, for it may be the secret that lost
// its quotes. Errors are bounded, and so is the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/auth/stored_secret.hpp"

namespace proxy {

inline constexpr std::size_t most_users_file_bytes = std::size_t{64} * 1024 * 1024;
/// Told one by one; of more only the number is said.
inline constexpr std::size_t most_users_file_errors = 100;

/// Immutable, but for SCRAM secrets that are built when first needed. Safe to use from any thread.
class user_table {
 public:
  /// Null for a role that the file does not name. For one without a secret, a pointer to null.
  [[nodiscard]] const stored_secret_ptr* find(std::string_view role) const;
  /// The password itself, where the file has it; else null. Valid as long as the table.
  [[nodiscard]] const pgwire::secret_string* password(std::string_view role) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Of those with a secret, those of which no SCRAM secret is there yet.
  [[nodiscard]] std::vector<std::pair<std::string, stored_secret_ptr>> without_scram() const;
  /// Takes what `old` has built of the same roles' passwords.
  void take_built(const user_table& old) const;
  /// What most of its secrets are like; nothing if there are none.
  [[nodiscard]] std::optional<secret_likeness> likeness() const { return likeness_; }
  /// Whether the two files read the same, to tell of a change; as good as a hash.
  [[nodiscard]] bool reads_like(const user_table& other) const { return text_hash_ == other.text_hash_; }

 private:
  friend class users_parser;
  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };

  std::unordered_map<std::string, stored_secret_ptr, name_hash, std::equal_to<>> entries_;
  std::optional<secret_likeness> likeness_;
  std::size_t text_hash_ = 0;
};

struct users_reading {
  std::shared_ptr<const user_table> users;  ///< null if there was any error
  std::vector<std::string> errors;          ///< "file:line: what", or "file: what"
  std::vector<std::string> warnings;
};

users_reading read_users_file(const std::filesystem::path& file);

/// The same from memory. `name` is the file's, for messages.
users_reading parse_users(std::string_view text, const std::string& name);

}  // namespace proxy
