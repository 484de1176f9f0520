// The text of a statement without the values in it, for a log: literals and numbers become ?, comments go, and so does
// what SET gives a setting.
//
// A scanner of its own rather than PostgreSQL's parser, since what is logged may be cut, wrong, or in a dialect that a
// later server understands; and since it costs microseconds where parsing may cost milliseconds.
//
// What must hold: no byte of a literal comes out. Where it cannot be told for certain where a literal ends (a backslash
// before its quote, whose meaning depends on settings and on the client's encoding) the text ends there. Names are
// kept, quoted ones too: a value that somebody writes as a name is not recognised.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pgwire {

/// At most `most` bytes, and " ..." where something was left out. Runs of white space become one space.
std::string without_values(std::string_view statement, std::size_t most);

}  // namespace pgwire
