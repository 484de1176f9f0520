// What PgBouncer's file says, setting by setting: known names, values that can be read, and where each stands.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/pgbouncer_ini.hpp"
#include "conf/pgbouncer_settings.hpp"

namespace conf {

/// What there is to say to whoever imports a file; told in the order of the file.
class import_notes {
 public:
  /// `at` may be null: of what PgBouncer does where the file says nothing. It must outlive this.
  void remark(const ini_entry* at, std::string_view path, std::string_view what);
  /// With any of these nothing is imported. `at` may be null: of what is missing.
  void error(const ini_entry* at, std::string_view path, std::string_view what);

  [[nodiscard]] bool has_errors() const { return !errors_.empty(); }
  /// "file:line: path: what", each once.
  [[nodiscard]] std::vector<std::string> remarks() const { return told(remarks_); }
  [[nodiscard]] std::vector<std::string> errors() const { return told(errors_); }

 private:
  // Entries stand in one vector, in the order of the file; what it does not say comes last.
  struct file_order {
    bool operator()(const ini_entry* a, const ini_entry* b) const {
      return a != nullptr && (b == nullptr || std::less<>()(a, b));
    }
  };
  using notes = std::multimap<const ini_entry*, std::string, file_order>;
  static std::vector<std::string> told(const notes& all);

  notes remarks_, errors_;
};

/// The settings of one section, or of one connection string.
class pgbouncer_values {
 public:
  explicit pgbouncer_values(pgbouncer_section section) : section_(section) {}

  /// A value without a `value_problem`.
  void set(const pgbouncer_setting& row, const ini_entry& entry, std::string_view value);
  /// Null if the file does not say it.
  [[nodiscard]] const ini_entry* where(std::string_view name) const;
  /// All of these give PgBouncer's default where the file says nothing, and nothing where there is none in the table.
  /// `name` must be in the table.
  [[nodiscard]] std::string_view text(std::string_view name) const;
  /// Without PgBouncer's "no limit" and "not set", 0 and -1.
  [[nodiscard]] std::optional<std::uint32_t> count(std::string_view name) const;
  /// Without -1, which is "not set".
  [[nodiscard]] std::optional<std::chrono::milliseconds> seconds(std::string_view name) const;

 private:
  struct given {
    const ini_entry* entry = nullptr;
    std::string value;
  };
  pgbouncer_section section_;
  std::map<std::string_view, given> given_;
};

struct pgbouncer_database {
  std::string name;  ///< "*" is who takes what no other does
  const ini_entry* entry = nullptr;
  pgbouncer_values values{pgbouncer_section::databases};

  /// "databases.crm.pool_size", for notes.
  [[nodiscard]] std::string path(std::string_view key) const;
};

struct pgbouncer_user {
  std::string name;
  const ini_entry* entry = nullptr;
  pgbouncer_values values{pgbouncer_section::users};

  /// "users.app.pool_mode", for notes.
  [[nodiscard]] std::string path(std::string_view key) const;
};

struct pgbouncer_config {
  pgbouncer_values global{pgbouncer_section::pgbouncer};
  std::vector<pgbouncer_database> databases;
  std::vector<pgbouncer_user> users;

  [[nodiscard]] const pgbouncer_database* find(std::string_view name) const;
};

/// Notes what is unknown, cannot be read, or has a fate worth telling. The result refers to `entries`.
pgbouncer_config read_pgbouncer_config(const std::vector<ini_entry>& entries, import_notes& notes);

}  // namespace conf
