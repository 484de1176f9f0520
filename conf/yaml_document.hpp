// One YAML file as a tree of nodes, each with its place.
//
// Built from yaml-cpp's events rather than its YAML::Node: a table of 100,000 tenants is half a million nodes, and
// YAML::Node spends most of its time and memory on being changeable. It also keeps what Node forgets: whether a scalar
// was quoted, and keys that occur twice. Nothing of yaml-cpp shows here.
//
// What must hold: every node, entry and text lives in the document's arena, so a node is valid as long as its document;
// an alias is a second pointer to the same node, and there are no cycles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/report.hpp"

namespace conf {

enum class yaml_kind : std::uint8_t { null, scalar, sequence, mapping };

struct yaml_node;

/// One pair of a mapping, or one item of a sequence (then without key).
struct yaml_entry {
  const yaml_node* key = nullptr;
  const yaml_node* value = nullptr;
};

struct yaml_node {
  yaml_kind kind = yaml_kind::null;
  bool quoted = false;  ///< a scalar in quotes, or a block: certainly text
  position at;
  std::string_view text;                ///< of a scalar
  std::span<const yaml_entry> entries;  ///< of a mapping (keys are scalars, each once) or a sequence
};

/// Why a document, or a part of it, is not good YAML for us.
struct yaml_problem {
  position at;
  std::string path;
  std::string what;
};

class yaml_document {
 public:
  static constexpr std::size_t most_bytes = 256u << 20;  ///< of one file
  static constexpr std::size_t most_depth = 32;          ///< of nesting; our files need seven
  static constexpr std::size_t most_nodes = 1u << 25;    ///< each alias counted as what it stands for
  static constexpr std::size_t most_problems = 100;      ///< told one by one

  /// `text` is not needed afterwards.
  static yaml_document parse(std::string_view text);

  /// Null if the document is empty or could not be read.
  [[nodiscard]] const yaml_node* root() const { return root_; }
  /// Whether it is YAML at all. Duplicate keys and the like are problems, but can be read past.
  [[nodiscard]] bool is_yaml() const { return is_yaml_; }
  [[nodiscard]] const std::vector<yaml_problem>& problems() const { return problems_; }

 private:
  friend class yaml_builder;
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena_ = std::make_unique<std::pmr::monotonic_buffer_resource>();
  const yaml_node* root_ = nullptr;
  bool is_yaml_ = true;
  std::vector<yaml_problem> problems_;
};

}  // namespace conf
