// From PgBouncer's configuration to the lodge's: entries in, two files and what there is to say about them out. Pure,
// but for what `import_surroundings` looks up.
//
// PgBouncer knows no tenants. Each entry of [databases] becomes one, whose id is the name that clients ask for, with a
// place of its own; `*` becomes the pattern "*", so that what it says of its databases does not leak into the others,
// as it would by `defaults`. Databases with equal hosts and logins share an entry of `servers`.
//
// What must hold: both files are read without errors; no password is in them, nor in what is said; where something that
// keeps clients out cannot be carried over, they are kept out.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/pgbouncer_ini.hpp"

namespace conf {

struct import_surroundings {
  std::filesystem::path folder;  ///< absolute: where relative paths in the ini begin
  /// The text of auth_hba_file, or a reason why not.
  std::function<std::expected<std::string, std::string>(const std::filesystem::path&)> read;
  /// The password itself of a role in the users file, where that has it.
  std::function<std::optional<std::string>(const std::filesystem::path& users, std::string_view role)> password_of;
};

struct imported_file {
  std::string name;  ///< without a folder
  std::string text;
  bool is_secret = false;  ///< a password, for its owner's eyes only
};

struct imported {
  std::vector<imported_file> files;  ///< pglodge.yaml, routes.yaml, then password files; none if there was any error
  std::vector<std::string> remarks;  ///< "file:line: setting: what became of it", in the order of the ini
  std::vector<std::string> errors;   ///< "file:line: setting: what"
};

imported import_pgbouncer(const std::vector<ini_entry>& entries, const import_surroundings& around);

}  // namespace conf
