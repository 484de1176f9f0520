#include "protocol/statement_tree.hpp"

#include <pg_query.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

// A variable of the scanner's, one per thread, which libpg_query exports but does not declare.
extern "C" {
extern __thread bool standard_conforming_strings;
}

namespace pgwire {
namespace {

constexpr std::size_t longest_text = std::size_t{64} * 1024;
constexpr std::size_t deepest = 500;
// A level takes two bytes at least (`- - - 1`, `1+1+1`), so that a short text cannot be too deep.
constexpr std::size_t surely_shallow = 2 * deepest;

class scanner_setting {
 public:
  explicit scanner_setting(backslash reading) { standard_conforming_strings = reading == backslash::plain; }
  ~scanner_setting() { standard_conforming_strings = true; }
  scanner_setting(const scanner_setting&) = delete;
  scanner_setting& operator=(const scanner_setting&) = delete;
};

// What libpg_query gives is a plain structure with a function that frees what it points to.
template <class Result, void (*Free)(Result)>
class owned {
 public:
  explicit owned(Result result) : result_(result) {}
  ~owned() { Free(result_); }
  owned(const owned&) = delete;
  owned& operator=(const owned&) = delete;
  const Result* operator->() const { return &result_; }

 private:
  Result result_;
};

using scanned = owned<PgQueryScanResult, pg_query_free_scan_result>;
using parsed = owned<PgQueryProtobufParseResult, pg_query_free_protobuf_parse_result>;

// protobuf-c takes its memory from the arena, which gives all of it back at once.
ProtobufCAllocator allocator_of(std::pmr::memory_resource& arena) {
  return {
      .alloc = [](void* from, std::size_t size) -> void* {
        return static_cast<std::pmr::memory_resource*>(from)->allocate(size, alignof(std::max_align_t));
      },
      .free = [](void*, void*) {},
      .allocator_data = &arena,
  };
}

const std::uint8_t* bytes_of(const PgQueryProtobuf& packed) {
  return reinterpret_cast<const std::uint8_t*>(packed.data);
}

// No path in the tree is longer than this count: brackets nest; a comma ends a list's item, and what follows stands
// beside it, except that a set operation takes all before it for its left side. Any other token may nest.
class depth_count {
 public:
  void token(std::string_view text, PgQuery__Token kind) {
    if (text == "(" || text == "[") {
      levels_.emplace_back();
    } else if ((text == ")" || text == "]") && levels_.size() > 1) {
      const auto inner = levels_.back().most();
      levels_.pop_back();
      levels_.back().inner = std::max(levels_.back().inner, inner + 1);
    } else if (text == ",") {
      levels_.back().end_item();
    } else if (text == ";" && levels_.size() == 1) {
      deepest_ = most();
      levels_.back() = {};
    } else {
      const bool is_set_operation =
          kind == PG_QUERY__TOKEN__UNION || kind == PG_QUERY__TOKEN__INTERSECT || kind == PG_QUERY__TOKEN__EXCEPT;
      ++(is_set_operation ? levels_.back().set_operations : levels_.back().item);
    }
  }
  [[nodiscard]] std::size_t most() const {
    std::size_t open = 0;
    for (const auto& one : levels_) open += one.most() + 1;
    return std::max(deepest_, open);
  }

 private:
  struct level {
    std::size_t item = 0;
    std::size_t longest_item = 0;
    std::size_t set_operations = 0;
    std::size_t inner = 0;

    void end_item() {
      longest_item = std::max(longest_item, item);
      item = 0;
    }
    [[nodiscard]] std::size_t most() const { return std::max(longest_item, item) + set_operations + inner; }
  };

  std::vector<level> levels_{1};
  std::size_t deepest_ = 0;
};

bool is_too_deep(const std::string& text) {
  if (text.size() <= surely_shallow) return false;
  const scanned result(pg_query_scan(text.c_str()));
  if (result->error != nullptr) return true;
  std::pmr::monotonic_buffer_resource arena(text.size());
  auto allocator = allocator_of(arena);
  const auto* tokens = pg_query__scan_result__unpack(&allocator, result->pbuf.len, bytes_of(result->pbuf));
  if (tokens == nullptr) return true;
  depth_count depth;
  for (std::size_t i = 0; i < tokens->n_tokens; ++i) {
    const auto& token = *tokens->tokens[i];
    const auto begin = static_cast<std::size_t>(token.start);
    const auto end = static_cast<std::size_t>(token.end);
    if (begin > end || end > text.size()) return true;
    depth.token(std::string_view(text).substr(begin, end - begin), token.token);
  }
  return depth.most() > deepest;
}

// protobuf-c's descriptors tell where in a structure a field stands.
template <class T>
T value_at(const ProtobufCMessage& message, unsigned offset) {
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), reinterpret_cast<const std::byte*>(&message) + offset, bytes.size());
  return std::bit_cast<T>(bytes);
}

}  // namespace

std::optional<statement_tree> statement_tree::parse(std::string_view text, backslash reading) {
  if (text.size() > longest_text || text.contains('\0')) return {};
  const std::string terminated(text);
  const scanner_setting setting(reading);
  if (is_too_deep(terminated)) return {};
  const parsed result(pg_query_parse_protobuf(terminated.c_str()));
  if (result->error != nullptr) return {};

  statement_tree tree(std::make_unique<std::pmr::monotonic_buffer_resource>(4 * result->parse_tree.len + 1024));
  auto allocator = allocator_of(*tree.arena_);
  tree.root_ = pg_query__parse_result__unpack(&allocator, result->parse_tree.len, bytes_of(result->parse_tree));
  if (tree.root_ == nullptr) return {};
  return tree;
}

std::vector<PgQuery__RawStmt*> statement_tree::statements() const {
  return {root_->stmts, root_->stmts + root_->n_stmts};
}

void append_children(const ProtobufCMessage& message, std::vector<const ProtobufCMessage*>& out) {
  const auto add = [&](const void* child) {
    if (child != nullptr) out.push_back(static_cast<const ProtobufCMessage*>(child));
  };
  // A node is one of some 240 kinds, whose pointers all stand in one place.
  if (message.descriptor == &pg_query__node__descriptor) {
    const auto& node = reinterpret_cast<const PgQuery__Node&>(message);
    if (node.node_case != PG_QUERY__NODE__NODE__NOT_SET) {
      add(value_at<const void*>(message, offsetof(PgQuery__Node, alias)));
    }
    return;
  }
  for (unsigned i = 0; i < message.descriptor->n_fields; ++i) {
    const auto& field = message.descriptor->fields[i];
    if (field.type != PROTOBUF_C_TYPE_MESSAGE) continue;
    if (field.label == PROTOBUF_C_LABEL_REPEATED) {
      const auto count = value_at<std::size_t>(message, field.quantifier_offset);
      const auto* children = static_cast<const ProtobufCMessage* const*>(value_at<const void*>(message, field.offset));
      for (std::size_t k = 0; k < count; ++k) add(children[k]);
      continue;
    }
    const bool is_choice = (field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (is_choice && value_at<std::uint32_t>(message, field.quantifier_offset) != field.id) continue;
    add(value_at<const void*>(message, field.offset));
  }
}

}  // namespace pgwire
