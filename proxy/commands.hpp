// The commands that look and leave: check and route.
#pragma once

#include <filesystem>
#include <string>

namespace proxy {

/// `pglodge check`: prints a summary, or every error as file:line:column: what. Returns the exit code.
int check(const std::filesystem::path& config);

/// `pglodge route`: prints which hint matched, which rule, where it goes, in what state. `subject` is a
/// postgres:// or postgresql:// URL, or a tenant id. Returns the exit code: 1 if such a session would be refused.
int route(const std::filesystem::path& config, const std::string& subject);

}  // namespace proxy
