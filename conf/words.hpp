// How messages name things: quoting, lists of words, and the word that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace conf {

/// In double quotes; control characters as \x.., and what is too long to be read is cut.
std::string in_quotes(std::string_view text);

/// "a, b or c"
std::string any_of_words(std::span<const std::string_view> words);

/// The word nearest to `text` by edits (a character more, less, other, or two swapped); empty if none is near enough
/// to be a slip of the pen.
std::string_view nearest(std::string_view text, std::span<const std::string_view> words);

/// `; did you mean "workers"?`, or nothing.
std::string did_you_mean(std::string_view text, std::span<const std::string_view> words);

/// Appends one part of a path, dot included; a part is quoted only where it would be hard to read without.
void append_path_part(std::string& path, std::string_view part);

}  // namespace conf
