// The keys in the manual pages pglodge.yaml(5) and routes.yaml(5), made from the table of settings as mdoc(7).
#pragma once

#include <string>
#include <string_view>

#include "conf/settings.hpp"

namespace tests {

/// The rest of a page is written by hand; between these two lines, which belong to it, stands what is generated.
inline constexpr std::string_view manual_begin =
    ".\\\" From here on written by `pglodge_reference --update` from conf/settings.cpp: change that.\n";
inline constexpr std::string_view manual_end = ".\\\" End of what is generated.\n";

/// A list of one entry for each key.
std::string generated_manual(conf::file_kind file);

/// The page with what is generated made anew; empty if it lacks one of the two lines.
std::string updated_manual(std::string_view page, conf::file_kind file);

}  // namespace tests
