// `pglodge serve`: the parts, how they are started, and the order in which they leave.
//
// The main thread accepts, hears signals and publishes; workers serve. Leaving: /readyz says no, after a while the
// doors close, then sessions are told, and when the last one is gone, or the drain's deadline has come, the workers
// stop. After an upgrade the doors belong to the successor, and this process is there for its sessions only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace proxy {

/// Runs until SIGTERM (drains), SIGINT (ends sessions at once) or a second of either (leaves as it is). SIGHUP
/// reloads; SIGUSR2 starts `command`, program and arguments, as the process that takes over. Returns the exit code: 1
/// if the configuration is refused or a listener cannot be opened.
int serve(const std::filesystem::path& config, std::vector<std::string> command);

}  // namespace proxy
