#include "tests/conf/manual_page.hpp"

#include <algorithm>

#include "tests/conf/reference_page.hpp"

namespace tests {
namespace {

using conf::setting;

// mandoc asks for lines of at most 80 bytes, and for a new one where a sentence begins.
constexpr std::size_t longest_line = 78;

// A text as roff reads it: nothing of it is a request, an escape or a hyphen where a minus was meant. `code` is in
// bold.
std::string escaped(std::string_view text) {
  std::string out;
  bool in_code = false;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      in_code = !in_code;
      out += in_code ? "\\fB" : "\\fR";
    } else {
      out += c;
    }
  }
  return out;
}

bool ends_sentence(std::string_view word) { return word.ends_with('.') && !word.ends_with(".."); }

// The text in lines, the last one ended.
std::string filled(std::string_view text) {
  std::string out, line;
  const auto flush = [&] {
    if (line.starts_with('.') || line.starts_with('\'')) out += "\\&";
    if (!line.empty()) out += line + "\n";
    line.clear();
  };
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t to = std::min(text.find(' ', from), text.size());
    const std::string word = escaped(text.substr(from, to - from));
    if (!line.empty() && line.size() + 1 + word.size() > longest_line) flush();
    line += (line.empty() ? "" : " ") + word;
    if (ends_sentence(word)) flush();
    from = to + 1;
  }
  flush();
  return out;
}

std::string entry(const setting& row) {
  std::string said = ".It Sy " + escaped(row.path) + "\n" + filled(row.doc);
  std::string facts = "Value: " + std::string(row.type) + ".";
  if (row.fallback == "required") {
    facts += " Required.";
  } else if (!row.fallback.empty()) {
    facts += " Without it: " + std::string(row.fallback) + ".";
  }
  if (row.in_force != conf::force::yes || !row.later.empty()) facts += " Not yet in force.";
  if (row.when == conf::taken_up::restart) facts += " Changes need a restart.";
  return said + ".br\n" + filled(facts);
}

}  // namespace

std::string generated_manual(conf::file_kind file) {
  std::string list(manual_begin);
  list += ".Bl -tag -width Ds\n";
  for (const setting& row : conf::all_settings()) {
    if (row.file == file && !is_told_elsewhere(row)) list += entry(row);
  }
  list += ".El\n";
  return list += manual_end;
}

std::string updated_manual(std::string_view page, conf::file_kind file) {
  const auto begin = page.find(manual_begin);
  const auto end = page.find(manual_end);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  std::string out(page.substr(0, begin));
  out += generated_manual(file);
  return out.append(page.substr(end + manual_end.size()));
}

}  // namespace tests
