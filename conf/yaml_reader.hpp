// A strict cursor over a document: it knows the path to where it stands, reads values as what they must be, and says
// what is wrong with them, where, and what to write instead.
//
// A reader goes down with find() and for_each(), and asks each value for what it should be; nothing means "an error
// was reported, go on with the rest". Places are chosen so that an editor jumps to what must be changed: an unknown or
// duplicate key to the key, a bad value to the value, a missing key to the name of what lacks it.
//
// What must hold: a value refers to the one it was found in, so it must not outlive that one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/report.hpp"
#include "conf/settings.hpp"
#include "conf/units.hpp"
#include "conf/yaml_document.hpp"

namespace conf {

/// The file that is read, and who is told.
struct yaml_source {
  std::string name;              ///< as people call it
  std::filesystem::path folder;  ///< what its relative paths start from; absolute
  report* out = nullptr;
};

class yaml_value {
 public:
  /// The root of a document. All three must outlive it.
  yaml_value(const yaml_source& source, const yaml_node& root, const key_node& known)
      : source_(&source), node_(&root), known_(&known) {}

  [[nodiscard]] const yaml_source& source() const { return *source_; }
  [[nodiscard]] position at() const { return node_->at; }
  [[nodiscard]] position key_at() const { return key_ != nullptr ? key_->at : node_->at; }
  /// Its key; empty for items of a list.
  [[nodiscard]] std::string_view name() const { return key_ != nullptr ? key_->text : std::string_view(); }
  [[nodiscard]] std::string path() const;

  // What is wrong.
  void error(std::string_view what) const { source_->out->error(source_->name, at(), path(), what); }
  void error_at_key(std::string_view what) const { source_->out->error(source_->name, key_at(), path(), what); }
  void error_missing(std::string_view key, std::string_view what) const;
  void warning(std::string_view what) const { source_->out->warning(source_->name, at(), path(), what); }

  // Where to go.
  [[nodiscard]] bool is_null() const { return node_->kind == yaml_kind::null; }
  /// A key that this place does not know but somebody may expect here, and what to tell them.
  struct elsewhere {
    std::string_view key, advice;
  };
  /// Whether it is a mapping. Reports what else it is, and every key in it that this place does not know.
  [[nodiscard]] bool is_mapping(std::span<const elsewhere> not_here = {}) const;
  /// The same where any name may be a key.
  [[nodiscard]] bool is_mapping_of_names(std::string_view example) const;
  /// Whether it is a list. Reports what else it is, and what to write for a lone value: that value in brackets, or
  /// `example` where items are more than a word.
  [[nodiscard]] bool is_list(std::string_view example = {}) const;
  [[nodiscard]] std::size_t size() const { return node_->entries.size(); }
  /// Of a mapping that is_mapping().
  [[nodiscard]] std::optional<yaml_value> find(std::string_view key) const;
  /// Each entry of a mapping of names, each item of a list.
  template <class Visit>
  void for_each(Visit visit) const {
    std::size_t index = 0;
    for (const yaml_entry& one : node_->entries)
      visit(yaml_value(*this, one, index++, known_ ? known_->each.get() : nullptr));
  }

  // What it is.
  /// A scalar in quotes, or a block: what is a word otherwise is meant as text.
  [[nodiscard]] bool is_quoted() const { return node_->quoted; }
  /// Any scalar but null, as it was written; not empty.
  [[nodiscard]] std::optional<std::string_view> text() const;
  /// The same, perhaps empty.
  [[nodiscard]] std::optional<std::string_view> text_or_empty() const;
  [[nodiscard]] std::optional<std::uint32_t> integer(std::uint32_t least, std::uint32_t most) const;
  [[nodiscard]] std::optional<std::uint64_t> bytes() const;
  enum class zero : std::uint8_t { allowed, refused };
  [[nodiscard]] std::optional<std::chrono::milliseconds> duration(zero nothing) const;
  [[nodiscard]] std::optional<bool> on_off() const;
  /// Made absolute against the file's own folder.
  [[nodiscard]] std::optional<std::filesystem::path> path_value() const;
  template <class Enum>
  [[nodiscard]] std::optional<Enum> choice(std::initializer_list<std::pair<std::string_view, Enum>> words) const {
    std::vector<std::string_view> known;
    for (const auto& one : words) known.push_back(one.first);
    const auto found = find_word(known);
    if (!found) return std::nullopt;
    return std::data(words)[*found].second;
  }

 private:
  yaml_value(const yaml_value& parent, const yaml_entry& entry, std::size_t index, const key_node* known);
  // A plain or quoted scalar, or an error that says what is expected.
  [[nodiscard]] std::optional<std::string_view> text_of(std::string_view expected) const;
  // The same, but not in quotes.
  [[nodiscard]] std::optional<std::string_view> plain_text_of(std::string_view expected) const;
  // Which of these words it is.
  [[nodiscard]] std::optional<std::size_t> find_word(std::span<const std::string_view> known) const;
  void refuse(std::string_view expected) const;
  void note_word(std::string_view word) const;

  const yaml_source* source_;
  const yaml_value* parent_ = nullptr;
  const yaml_node* key_ = nullptr;
  std::size_t index_ = 0;
  const yaml_node* node_;
  const key_node* known_;
};

using maybe_value = std::optional<yaml_value>;

/// Its text. Nothing: it is not there, or it is none, which is reported.
std::optional<std::string> read_text(const maybe_value& value);

/// Into what it says, if it is there.
void read_path(const maybe_value& value, std::filesystem::path& into);

}  // namespace conf
