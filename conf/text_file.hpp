// Reads a whole file, or says in words why not.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <string>

namespace conf {

/// The error is a reason, "No such file or directory". Only regular files are read: a pipe could block for ever.
std::expected<std::string, std::string> read_text_file(const std::filesystem::path& file, std::size_t most_bytes);

}  // namespace conf
