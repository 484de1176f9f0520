// The generated half of conf/reference.md, made from the table of settings.
#pragma once

#include <string>
#include <string_view>

#include "conf/settings.hpp"

namespace tests {

/// The page's introduction is written by hand and ends with this line; what follows is generated.
inline constexpr std::string_view reference_marker =
    "<!-- From here on written by `pglodge_reference --update` from conf/settings.cpp: change that. -->\n";

/// Whether a key is left out of what is generated: those that a tenant shares with `defaults` and no_tenant's route are
/// told once.
bool is_told_elsewhere(const conf::setting& row);

/// Marker included.
std::string generated_reference();

}  // namespace tests
