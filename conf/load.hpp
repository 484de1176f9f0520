// Reads pglodge.yaml, and from there the routing table, in one go: everything, or every error.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "routing/route_table.hpp"

namespace conf {

struct loaded {
  std::shared_ptr<const daemon_settings> settings;  ///< both are null if there was any error
  std::shared_ptr<const routing::route_table> routes;
  std::vector<std::string> errors;             ///< "file:line:column: path.to.key: what, and what to write instead"
  std::vector<std::string> warnings;           ///< likewise placed; and at most one line for keys not yet in force
  std::vector<std::filesystem::path> files;    ///< every file that was read or should have been, even on error
  std::vector<std::filesystem::path> folders;  ///< folders in which a new *.yaml file would count
};

/// Does not throw for anything that can be wrong with the files.
loaded load(const std::filesystem::path& daemon_file);

/// The daemon's file alone, for what needs no routing table and should not fail because of it: `routes` stays null.
loaded load_settings(const std::filesystem::path& daemon_file);

}  // namespace conf
