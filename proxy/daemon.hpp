// `pglodge serve`: the parts, how they are started, and the order in which they leave.
//
// The main thread accepts, hears signals and publishes; workers serve. Leaving: the doors close first, then sessions
// are told, and when the last one is gone, or the drain's deadline has come, the workers stop.
#pragma once

#include <filesystem>

namespace proxy {

/// Runs until SIGTERM (drains), SIGINT (ends sessions at once) or a second of either (leaves as it is). SIGHUP
/// reloads. Returns the exit code: 1 if the configuration is refused or a listener cannot be opened.
int serve(const std::filesystem::path& config);

}  // namespace proxy
