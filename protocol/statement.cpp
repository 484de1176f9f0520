#include "protocol/statement.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "protocol/statement_reader.hpp"
#include "protocol/statement_tree.hpp"
#include "protocol/statement_words.hpp"

namespace pgwire {
namespace {

std::optional<verdict> read_one(std::string_view text, backslash reading) {
  const auto tree = statement_tree::parse(text, reading);
  if (!tree) return {};
  return read_tree(text, *tree);
}

// The two readings of a text with backslashes, of which the server takes one. Where they differ in values only, those
// are unknown.
verdict both(verdict one, const verdict& other) {
  auto merged = one;
  bool is_alike = one.settings.size() == other.settings.size();
  for (std::size_t i = 0; is_alike && i < one.settings.size(); ++i) {
    auto& values = merged.settings[i].values;
    const auto& others = other.settings[i].values;
    is_alike = values.size() == others.size();
    for (std::size_t k = 0; is_alike && k < values.size(); ++k) {
      if (values[k] != others[k]) one.settings[i].values[k] = values[k] = {};
    }
  }
  merged.repeated.clear();  // either may be the server's
  std::ranges::set_union(one.repeated, other.repeated, std::back_inserter(merged.repeated));
  one.repeated = merged.repeated;
  auto expected = other;
  expected.repeated = merged.repeated;
  if (is_alike) {
    for (std::size_t i = 0; i < merged.settings.size(); ++i) expected.settings[i].values = merged.settings[i].values;
    if (merged == expected) return merged;
  }
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(one.settings, other.settings);
  append(one.prepares, other.prepares);
  append(one.executes, other.executes);
  append(one.deallocates, other.deallocates);
  const bool both_set_only = one.traits.has(trait::only_sets) && other.traits.has(trait::only_sets);
  one.traits.add(other.traits);
  if (!both_set_only) one.traits = one.traits.without({trait::only_sets});
  one.traits.add({trait::unseen, trait::ambiguous});
  return one;
}

// In an encoding such as SJIS a backslash may be the second half of a character, and then it quotes nothing. The parser
// does not know the encoding.
bool has_doubtful_backslash(std::string_view text) {
  for (auto at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at + 1)) {
    if (at > 0 && static_cast<unsigned char>(text[at - 1]) >= 0x80) return true;
  }
  return false;
}

}  // namespace

bool verdict::harmless() const {
  return settings.empty() && prepares.empty() && executes.empty() && deallocates.empty() &&
         traits.without({trait::begins, trait::ends_transaction, trait::only_sets}).empty();
}

std::optional<verdict> read_statements(std::string_view text) {
  auto plain = read_one(text, backslash::plain);
  if (!text.contains('\\')) return plain;
  auto escaped = read_one(text, backslash::escapes);
  if (!plain && !escaped) return {};
  if (!plain || !escaped) {
    auto& only = plain ? *plain : *escaped;
    only.traits.add({trait::unseen, plain ? trait::plain_only : trait::escaped_only});
    return std::move(only);
  }
  return both(std::move(*plain), *escaped);
}

verdict judge(std::string_view text) {
  if (!may_matter(text)) return {};
  auto read = read_statements(text);
  if (!read) return {.traits = {trait::unseen}};
  if (has_doubtful_backslash(text)) read->traits.add({trait::unseen, trait::ambiguous, trait::two_faced});
  return std::move(*read);
}

}  // namespace pgwire
