// Reading files that hold secrets: the users file, and a server's password_file.
//
// The text goes straight from the file into memory that wipes itself; no stream buffer or std::string keeps a copy.
//
// Who may read such a file besides the lodge is its owner's decision, but one that is often made by accident, so
// there is a warning when others can read it, or others or its group can write it. The group may read: Kubernetes
// hands secrets out in that way, and so does Debian, root:group 0640.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "protocol/secret.hpp"

namespace proxy {

struct secret_file {
  pgwire::secret_string text;
  std::optional<std::string> warning;  ///< one line, with the file's name
};

/// The error is a reason, without the file's name: "No such file or directory". Only regular files are read.
std::expected<secret_file, std::string> read_secret_file(const std::filesystem::path& file, std::size_t most_bytes);

/// A file with one password in one line and nothing else. The line's end is no part of it. Errors as above; an empty
/// password, one with a zero byte or of more than pgwire::most_password_bytes, and a second line are errors as well.
std::expected<secret_file, std::string> read_password_file(const std::filesystem::path& file);

}  // namespace proxy
