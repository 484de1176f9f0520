#include "conf/yaml_reader.hpp"

#include <algorithm>
#include <array>

#include "conf/words.hpp"

namespace conf {
namespace {

std::string what_is(const yaml_node& node) {
  switch (node.kind) {
    case yaml_kind::null: return "nothing";
    case yaml_kind::scalar: return in_quotes(node.text);
    case yaml_kind::sequence: return "a list";
    case yaml_kind::mapping: return "a mapping";
  }
  return {};
}

void note_use(report& out, const key_node& known) {
  if (known.row == nullptr || known.covered) return;
  if (known.row->in_force == force::no) out.without_effect(known.row->path);
  if (known.row->in_force == force::refuses) out.refuses_sessions(known.row->path);
}

}  // namespace

yaml_value::yaml_value(const yaml_value& parent, const yaml_entry& entry, std::size_t index, const key_node* known)
    : source_(parent.source_), parent_(&parent), key_(entry.key), index_(index), node_(entry.value), known_(known) {}

std::string yaml_value::path() const {
  if (parent_ == nullptr) return {};
  std::string path = parent_->path();
  append_path_part(path, key_ != nullptr ? key_->text : std::to_string(index_));
  return path;
}

void yaml_value::error_missing(std::string_view key, std::string_view what) const {
  std::string missing = path();
  append_path_part(missing, key);
  source_->out->error(source_->name, key_at(), missing, "missing; " + std::string(what));
}

void yaml_value::refuse(std::string_view expected) const {
  if (is_null()) {
    error("nothing is written here; write " + std::string(expected) + ", or remove " +
          (key_ ? "the key" : "the entry"));
  } else {
    error("expected " + std::string(expected) + ", not " + what_is(*node_));
  }
}

bool yaml_value::is_mapping(std::span<const elsewhere> not_here) const {
  if (node_->kind != yaml_kind::mapping) {
    refuse("a mapping of keys and values");
    return false;
  }
  std::vector<std::string_view> names;
  for (const yaml_entry& one : node_->entries) {
    if (known_->find(one.key->text) != nullptr) continue;
    const yaml_value unknown(*this, one, 0, nullptr);
    const auto expected = std::ranges::find(not_here, one.key->text, &elsewhere::key);
    if (expected != not_here.end()) {
      unknown.error_at_key(expected->advice);
      continue;
    }
    if (names.empty()) {
      for (const auto& known : known_->keys) names.push_back(known.first);
    }
    std::string meant = did_you_mean(one.key->text, names);
    if (meant.empty()) meant = "; known here: " + any_of_words(names);
    unknown.error_at_key("unknown key" + meant);
  }
  return true;
}

bool yaml_value::is_mapping_of_names(std::string_view example) const {
  if (node_->kind == yaml_kind::mapping) return true;
  if (is_null()) {
    error("nothing is written here; write {} if there shall be none, or remove the key");
  } else {
    refuse("a mapping such as " + std::string(example));
  }
  return false;
}

bool yaml_value::is_list(std::string_view example) const {
  switch (node_->kind) {
    case yaml_kind::sequence: return true;
    case yaml_kind::scalar: {
      const auto needs_quotes = [](char c) { return std::string_view("[]{}:#\"'").contains(c); };
      const bool is_simple = !node_->text.empty() && std::ranges::none_of(node_->text, needs_quotes);
      const std::string item = is_simple ? std::string(node_->text) : in_quotes(node_->text);
      error("expected a list; write " + (example.empty() ? "[" + item + "]" : std::string(example)));
      break;
    }
    case yaml_kind::null: error("nothing is written here; write [] if there shall be none, or remove the key"); break;
    case yaml_kind::mapping: error("expected a list, not a mapping; write each entry after \"- \""); break;
  }
  return false;
}

std::optional<yaml_value> yaml_value::find(std::string_view key) const {
  const key_node* known = known_->find(key);
  for (std::size_t i = 0; i < node_->entries.size(); ++i) {
    const yaml_entry& one = node_->entries[i];
    if (one.key->text != key) continue;
    const bool says_nothing = one.value->kind == yaml_kind::sequence && one.value->entries.empty();
    if (known != nullptr && !says_nothing) note_use(*source_->out, *known);
    return yaml_value(*this, one, i, known);
  }
  return std::nullopt;
}

std::optional<std::string_view> yaml_value::text_of(std::string_view expected) const {
  if (node_->kind != yaml_kind::scalar) {
    refuse(expected);
    return std::nullopt;
  }
  return node_->text;
}

std::optional<std::string_view> yaml_value::plain_text_of(std::string_view expected) const {
  const auto text = text_of(expected);
  if (!text || !node_->quoted) return text;
  error("expected " + std::string(expected) + ", not text in quotes; write it without them");
  return std::nullopt;
}

std::optional<std::string_view> yaml_value::text_or_empty() const { return text_of("text"); }

std::optional<std::string_view> yaml_value::text() const {
  const auto text = text_of("text");
  if (text && text->empty()) {
    error("is empty; write something, or remove it");
    return std::nullopt;
  }
  if (text && text->contains('\0')) {
    error("holds a NUL character, which PostgreSQL's texts cannot; remove it");
    return std::nullopt;
  }
  return text;
}

std::optional<std::uint32_t> yaml_value::integer(std::uint32_t least, std::uint32_t most) const {
  const auto text = plain_text_of("a whole number");
  if (!text) return std::nullopt;
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  const auto number = parse_integer(*text);
  if (!number) {
    error(number.error() + "; allowed is " + range);
    return std::nullopt;
  }
  if (*number < least || *number > most) {
    error(std::string(*text) + " is out of range; write a number from " + range);
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*number);
}

std::optional<std::uint64_t> yaml_value::bytes() const {
  const auto text = text_of("a size such as 64KiB or 16MiB");
  if (!text) return std::nullopt;
  const auto size = parse_size(*text);
  if (!size) {
    error(size.error());
  } else if (*size == 0) {
    error("0 is out of range; write a size such as 64KiB, or remove the key for no limit");
  } else {
    return *size;
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> yaml_value::duration(zero nothing) const {
  const auto text = text_of("a duration such as 250ms, 5s, 2m or 1h");
  if (!text) return std::nullopt;
  const auto read = parse_duration(*text);
  if (!read) {
    error(read.error());
  } else if (read->count() == 0 && nothing == zero::refused) {
    error("a duration of 0 makes no sense here; write one such as 5s");
  } else {
    return *read;
  }
  return std::nullopt;
}

std::optional<bool> yaml_value::on_off() const {
  const auto text = plain_text_of("on or off");
  if (!text) return std::nullopt;
  if (*text == "on" || *text == "true") return true;
  if (*text == "off" || *text == "false") return false;
  error(in_quotes(*text) + " is not one of on, off, true or false");
  return std::nullopt;
}

std::optional<std::filesystem::path> yaml_value::path_value() const {
  const auto text = this->text();
  if (!text) return std::nullopt;
  return source_->folder / std::filesystem::path(*text);
}

std::optional<std::size_t> yaml_value::find_word(std::span<const std::string_view> known) const {
  if (node_->kind != yaml_kind::scalar) {
    refuse("one of " + any_of_words(known));
    return std::nullopt;
  }
  const auto found = std::ranges::find(known, node_->text);
  if (found == known.end()) {
    error(in_quotes(node_->text) + " is not one of " + any_of_words(known) + did_you_mean(node_->text, known));
    return std::nullopt;
  }
  note_word(node_->text);
  return static_cast<std::size_t>(found - known.begin());
}

void yaml_value::note_word(std::string_view word) const {
  if (known_ == nullptr || known_->row == nullptr || known_->covered) return;
  const auto later = words_of(known_->row->later);
  if (std::ranges::find(later, word) != later.end()) {
    source_->out->refuses_sessions(known_->row->path + ": " + std::string(word));
  }
}

std::optional<std::string> read_text(const maybe_value& value) {
  if (!value) return std::nullopt;
  const auto text = value->text();
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

void read_path(const maybe_value& value, std::filesystem::path& into) {
  if (!value) return;
  if (auto path = value->path_value()) into = std::move(*path);
}

}  // namespace conf
