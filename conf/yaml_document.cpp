#include "conf/yaml_document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <optional>
#include <spanstream>
#include <unordered_map>
#include <utility>

#include "conf/utf8.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

// Ends the parse from inside an event; caught in parse().
struct stop {
  position at;
  std::string what;
};

// yaml-cpp counts columns in bytes and from 0. Marks mostly go forward, so counting goes on from the last one: a file
// that is one long line must not be counted from its start for every node.
class place_finder {
 public:
  explicit place_finder(std::string_view text) : text_(text) {}

  position find(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    const auto pos = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
    const auto column = std::min(static_cast<std::size_t>(std::max(mark.column, 0)), pos);
    const auto line = static_cast<std::uint32_t>(std::max(mark.line, 0)) + 1;
    if (line != last_.line || pos < last_pos_) {
      last_ = {line, 1};
      last_pos_ = pos - column;
    }
    const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    last_.column +=
        static_cast<std::uint32_t>(std::ranges::count_if(text_.substr(last_pos_, pos - last_pos_), is_first_byte));
    last_pos_ = pos;
    return last_;
  }

 private:
  std::string_view text_;
  position last_;
  std::size_t last_pos_ = 0;
};

constexpr std::string_view tab_in_indentation = "a tab as indentation; YAML indents by spaces alone";

// What yaml-cpp may say of a line that is indented by a tab, which it takes for a part of what stands above. Within
// brackets and quotes a tab may stand anywhere.
bool may_be_of_a_tab(const std::string& message) {
  return message == YAML::ErrorMsg::TAB_IN_INDENTATION || message == YAML::ErrorMsg::MAP_VALUE ||
         message == YAML::ErrorMsg::MAP_KEY || message == YAML::ErrorMsg::BLOCK_ENTRY ||
         message == YAML::ErrorMsg::END_OF_MAP || message == YAML::ErrorMsg::END_OF_SEQ ||
         message == YAML::ErrorMsg::UNKNOWN_TOKEN;
}

// The tab by which the line is indented, or the first of the lines above it that are as well.
std::optional<position> find_tab(std::string_view text, std::uint32_t line) {
  std::optional<position> first;
  for (position at; at.line <= line; ++at.line) {
    const auto indentation = text.substr(0, std::min(text.find_first_not_of(" \t"), text.size()));
    const auto tab = indentation.find('\t');
    if (tab == std::string_view::npos) {
      first.reset();
    } else if (!first) {
      first = {at.line, static_cast<std::uint32_t>(tab) + 1};
    }
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return at.line == line ? first : std::nullopt;
    text.remove_prefix(end + 1);
  }
  return first;
}

// What yaml-cpp says, and what it takes to be rid of it.
std::string in_our_words(const std::string& message) {
  static const std::array<std::pair<std::string_view, std::string_view>, 12> known{{
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a list opened with [ is not closed here; write ] or a comma"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "a mapping opened with { is not closed here; write } or a comma"},
      {YAML::ErrorMsg::END_OF_MAP, "this line belongs to no mapping; indent it like the keys beside it"},
      {YAML::ErrorMsg::END_OF_SEQ, "this line belongs to no list; indent it like the items beside it"},
      {YAML::ErrorMsg::MAP_VALUE, "a colon where no value can begin; put the text in quotes, or mend the indentation"},
      {YAML::ErrorMsg::MAP_KEY, "a key where none can stand; mend the indentation"},
      {YAML::ErrorMsg::BLOCK_ENTRY, "a list item where none can stand; mend the indentation"},
      {YAML::ErrorMsg::EOF_IN_SCALAR, "the file ends inside quotes; close them"},
      {YAML::ErrorMsg::TAB_IN_INDENTATION, tab_in_indentation},
      {YAML::ErrorMsg::UNKNOWN_TOKEN, "a character that begins nothing in YAML; put the text in quotes"},
      {YAML::ErrorMsg::UNKNOWN_ANCHOR, "an alias (*name) without an anchor (&name) before it"},
      {YAML::ErrorMsg::FLOW_END, "a closing bracket that does not fit what was opened"},
  }};
  const auto found = std::ranges::find(known, message, &std::pair<std::string_view, std::string_view>::first);
  return "not valid YAML: " + (found != known.end() ? std::string(found->second) : message);
}

}  // namespace

class yaml_builder : public YAML::EventHandler {
 public:
  yaml_builder(yaml_document& into, place_finder& places) : into_(into), places_(places), memory_(into.arena_.get()) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw stop{places_.find(mark), "a second document begins here (---); a file holds one, so remove the line"};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    yaml_node* made = make(mark, yaml_kind::null);
    // Where nothing was written, yaml-cpp's mark is that of whatever comes next, lines below.
    const yaml_node* key = depth_ > 0 ? frames_[depth_ - 1].key : nullptr;
    if (key != nullptr && key->at.line != made->at.line) made->at = key->at;
    remember(anchor, made, 1);
    add(made, 1);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    yaml_node* made = make(mark, yaml_kind::scalar);
    made->quoted = is_tagged_as_text(tag, mark);
    made->text = keep(value);
    remember(anchor, made, 1);
    add(made, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw stop{places_.find(mark), "an alias (*name) inside what it stands for"};
    add(found->second.first, found->second.second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, yaml_kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, yaml_kind::mapping);
  }
  void OnMapEnd() override { close(); }

 private:
  // A collection whose end has not come yet.
  struct frame {
    yaml_node* node = nullptr;
    YAML::anchor_t anchor = YAML::NullAnchor;
    const yaml_node* key = nullptr;  // whose value comes next
    bool drop = false;               // that value is read past
    std::size_t weight = 1;          // nodes in it, aliases counted as what they stand for
    std::vector<yaml_entry> entries;
    std::unordered_map<std::string_view, const yaml_node*> seen;  // keys, once they are many
  };
  static constexpr std::size_t few_keys = 16;

  yaml_node* make(const YAML::Mark& mark, yaml_kind kind) {
    yaml_node* made = memory_.new_object<yaml_node>();
    made->kind = kind;
    made->at = places_.find(mark);
    return made;
  }

  std::string_view keep(const std::string& text) {
    char* copy = memory_.allocate_object<char>(text.size());
    std::ranges::copy(text, copy);
    return {copy, text.size()};
  }

  void remember(YAML::anchor_t anchor, const yaml_node* node, std::size_t weight) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {node, weight};
  }

  // yaml-cpp's own tags are "?" for plain and "!" for quoted.
  bool is_tagged_as_text(const std::string& tag, const YAML::Mark& mark) {
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return true;
    if (!tag.empty() && tag != "?")
      problem(places_.find(mark), "the tag " + in_quotes(tag) + " has no meaning here; remove it");
    return false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, yaml_kind kind) {
    if (depth_ == yaml_document::most_depth) {
      throw stop{places_.find(mark), "nested deeper than " + std::to_string(yaml_document::most_depth) + " levels"};
    }
    yaml_node* made = make(mark, kind);
    is_tagged_as_text(tag, mark);
    if (depth_ == frames_.size()) frames_.emplace_back();
    frame& top = frames_[depth_++];  // frames are used again: their memory stays
    top.node = made;
    top.anchor = anchor;
    top.key = nullptr;
    top.drop = false;
    top.weight = 1;
    top.entries.clear();
    top.seen.clear();
  }

  void close() {
    frame& top = frames_[--depth_];
    yaml_entry* kept = memory_.allocate_object<yaml_entry>(top.entries.size());
    std::ranges::copy(top.entries, kept);
    top.node->entries = {kept, top.entries.size()};
    remember(top.anchor, top.node, top.weight);
    add(top.node, top.weight);
  }

  void add(const yaml_node* node, std::size_t weight) {
    if (depth_ == 0) {
      into_.root_ = node;
      return;
    }
    frame& top = frames_[depth_ - 1];
    top.weight += weight;
    if (top.weight > yaml_document::most_nodes) throw stop{node->at, "aliases make this larger than can be read"};
    if (top.node->kind == yaml_kind::sequence) {
      top.entries.push_back({nullptr, node});
    } else if (top.key == nullptr) {
      begin_pair(top, node);
    } else {
      if (!top.drop) top.entries.push_back({top.key, node});
      top.key = nullptr;
    }
  }

  void begin_pair(frame& top, const yaml_node* key) {
    top.key = key;
    top.drop = false;
    if (key->kind != yaml_kind::scalar) {
      top.drop = true;
      problem(key->at, "a key must be plain text; put it in quotes");
    } else if (const yaml_node* first = find_or_remember(top, key); first != nullptr) {
      top.drop = true;
      std::string path = path_of_top();
      append_path_part(path, key->text);
      problem(key->at, std::move(path),
              "duplicate key, first written at line " + std::to_string(first->at.line) + ", column " +
                  std::to_string(first->at.column) + "; keep one of them");
    }
  }

  static const yaml_node* find_or_remember(frame& top, const yaml_node* key) {
    if (top.entries.size() < few_keys) {
      const auto same = [&](const yaml_entry& one) { return one.key->text == key->text; };
      const auto found = std::ranges::find_if(top.entries, same);
      return found != top.entries.end() ? found->key : nullptr;
    }
    if (top.seen.empty()) {
      for (const yaml_entry& one : top.entries) top.seen.emplace(one.key->text, one.key);
    }
    const auto [found, is_new] = top.seen.emplace(key->text, key);
    return is_new ? nullptr : found->second;
  }

  // Of the innermost open collection.
  [[nodiscard]] std::string path_of_top() const {
    std::string path;
    for (std::size_t i = 0; i + 1 < depth_; ++i) {
      const frame& one = frames_[i];
      if (one.node->kind == yaml_kind::sequence) {
        append_path_part(path, std::to_string(one.entries.size()));
      } else {
        append_path_part(path, one.key != nullptr && one.key->kind == yaml_kind::scalar ? one.key->text : "?");
      }
    }
    return path;
  }

  void problem(position at, std::string what) { problem(at, path_of_top(), std::move(what)); }
  void problem(position at, std::string path, std::string what) {
    if (into_.problems_.size() < yaml_document::most_problems) {
      into_.problems_.push_back({at, std::move(path), std::move(what)});
    }
  }

  yaml_document& into_;
  place_finder& places_;
  std::pmr::polymorphic_allocator<> memory_;
  std::vector<frame> frames_;
  std::size_t depth_ = 0;
  std::size_t documents_ = 0;
  std::unordered_map<YAML::anchor_t, std::pair<const yaml_node*, std::size_t>> anchors_;  // only what is complete
};

yaml_document yaml_document::parse(std::string_view text) {
  yaml_document made;
  const auto give_up = [&](position at, std::string what) {
    made.root_ = nullptr;
    made.is_yaml_ = false;
    made.problems_ = {{at, "", std::move(what)}};
  };
  if (auto bad = find_bad_text(text)) {
    give_up(bad->at, std::move(bad->what));
    return made;
  }
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::ispanstream stream{std::span<const char>(text)};
  place_finder places(text);
  yaml_builder builder(made, places);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const stop& fatal) {
    give_up(fatal.at, fatal.what);
  } catch (const YAML::Exception& error) {
    const position at = places.find(error.mark);
    const auto tab = may_be_of_a_tab(error.msg) ? find_tab(text, at.line) : std::nullopt;
    give_up(tab.value_or(at), in_our_words(tab ? YAML::ErrorMsg::TAB_IN_INDENTATION : error.msg));
  }
  if (made.root_ != nullptr && made.root_->kind == yaml_kind::null) made.root_ = nullptr;
  return made;
}

}  // namespace conf
