// Tenant patterns: "trial-*" stands for every id that begins so.
#pragma once

#include <string_view>

namespace routing {

/// Whether the whole of `text` matches: '*' stands for any run of characters, none included; all else for itself. Time
/// is at most the product of the two lengths, whatever the pattern.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace routing
