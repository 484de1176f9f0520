// Whether a file is text at all, before a parser sees it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conf/report.hpp"

namespace conf {

struct text_problem {
  position at;
  std::string what;
};

/// The first place that is not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) or is a
/// control character other than tab, line feed and carriage return (YAML 1.2, 5.1). Both matter beyond tidiness:
/// yaml-cpp replaces the one silently and takes one of the others for the end of the file.
std::optional<text_problem> find_bad_text(std::string_view text);

}  // namespace conf
