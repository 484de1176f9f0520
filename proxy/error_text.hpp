// What the operating system calls an error.
#pragma once

#include <string>
#include <system_error>

namespace proxy {

/// `error` is an errno. The text is strerror's, without its shared buffer.
[[nodiscard]] inline std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace proxy
