// PostgreSQL's parser as a value: a text goes in, the tree of its statements comes out, in the structures that
// libpg_query declares. The whole tree lives in one arena and goes with it.
#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <memory>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace pgwire {

/// How the scanner takes a backslash in a plain literal: as itself, or as it is with standard_conforming_strings = off.
enum class backslash : bool { plain, escapes };

class statement_tree {
 public:
  /// Nothing if the text cannot be parsed, holds a zero byte, is longer than 64 KiB, or may be nested deeper than 500
  /// levels: parser and tree are recursive without a limit of their own, and a worker's stack has one.
  static std::optional<statement_tree> parse(std::string_view text, backslash reading);

  /// The statements in order, each with its place in the text.
  [[nodiscard]] std::vector<PgQuery__RawStmt*> statements() const;

 private:
  explicit statement_tree(std::unique_ptr<std::pmr::monotonic_buffer_resource> arena) : arena_(std::move(arena)) {}

  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena_;
  PgQuery__ParseResult* root_ = nullptr;
};

/// The messages directly below one, in the order of the text as far as the tree keeps it, added to `out`.
void append_children(const ProtobufCMessage& message, std::vector<const ProtobufCMessage*>& out);

}  // namespace pgwire
