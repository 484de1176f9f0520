// The line of a statement that took long: how long, and what it was, without a value of it.
#pragma once

#include <string>
#include <string_view>

#include "proxy/desk/log_line.hpp"
#include "proxy/io.hpp"

namespace proxy {

/// `text`: as the client sent it, or its beginning; empty if it is not known.
void log_slow(desk::own_level own, const std::string& session, clock::duration took, std::string_view text);

}  // namespace proxy
