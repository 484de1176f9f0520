// The commands that look and leave: check, route, usage, top and import-pgbouncer.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "proxy/command_line.hpp"

namespace proxy {

/// `pglodge check`: prints a summary, or every error as file:line:column: what. Returns the exit code.
int check(const std::filesystem::path& config);

/// `pglodge route`: prints which hint matched, which rule, where it goes, in what state. `subject` is a
/// postgres:// or postgresql:// URL, or a tenant id. Returns the exit code: 1 if such a session would be refused.
int route(const std::filesystem::path& config, const std::string& subject);

/// `pglodge import-pgbouncer`: writes pglodge.yaml, routes.yaml and password files into the folder, or without one
/// shows the first two; then says on standard error what became of settings that are not simply carried over. Returns
/// the exit code: 1, and nothing is written, if the ini cannot be read or a file is there already.
int import_pgbouncer(const std::filesystem::path& ini, const std::optional<std::filesystem::path>& folder);

/// `pglodge usage`: prints what each tenant used, and on standard error each line of the ledger that does not count.
/// Returns the exit code: 1 if there is no ledger or it cannot be read, 2 for times or a tenant that are none.
int usage(const std::filesystem::path& config, const usage_arguments& arguments);

/// `pglodge top`: shows, over the console, what tenants do: live in a terminal, or once. Returns the exit code: 1 if
/// the console cannot be reached, is none or closes; 2 for arguments that make no sense, or where there is no terminal.
int show_top(const std::filesystem::path& config, const top_arguments& arguments);

}  // namespace proxy
