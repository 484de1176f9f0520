// What reading the files brings to light: errors with their places, and keys that have no effect yet.
//
// Errors are collected, never thrown, so that whoever edits sees all of them at once. Their number is bounded: a table
// of 100,000 tenants with one mistake in each shall not fill the log.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace conf {

/// Both count from 1; columns are characters, as an editor counts them.
struct position {
  std::uint32_t line = 1, column = 1;
  friend auto operator<=>(const position&, const position&) = default;
};

class report {
 public:
  static constexpr std::size_t most_errors = 1000;  ///< told one by one; the rest is only counted

  /// Files are told in the order in which they were begun.
  void begin_file(const std::string& file);
  /// `path` may be empty: the file as a whole.
  void error(const std::string& file, position at, std::string_view path, std::string_view what);
  /// What can be meant so, but hardly is.
  void warning(const std::string& file, position at, std::string_view path, std::string_view what);
  /// A path pattern ("admin.http"), or one with a word ("auth.method: md5"), that the files really use.
  void without_effect(std::string what) { without_effect_.insert(std::move(what)); }
  /// The same, where ignoring it would be unsafe and sessions are refused instead.
  void refuses_sessions(std::string what) { refuses_sessions_.insert(std::move(what)); }

  [[nodiscard]] std::size_t error_count() const { return errors_.size() + left_out_; }
  /// "file:line:column: path.to.key: what", by file and place.
  [[nodiscard]] std::vector<std::string> errors() const;
  /// Those that were told, and at most one line for keys without effect.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct entry {
    std::size_t order = 0;
    position at;
    std::string file, path, what;
  };
  std::size_t order_of(const std::string& file);

  std::unordered_map<std::string, std::size_t> files_;  ///< name to order
  static std::string line_of(const entry& one);
  std::vector<entry> errors_;
  std::vector<std::string> told_;
  std::size_t left_out_ = 0;
  std::set<std::string> without_effect_, refuses_sessions_;
};

}  // namespace conf
