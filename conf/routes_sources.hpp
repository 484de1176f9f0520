// Which files the routing table is made of: one file or a folder, and what they include.
//
// Only file names may hold wildcards, and included files end in .yaml or .yml: that is what the watcher can notice when
// a new one appears. Inclusion is one level deep, so that where a tenant comes from is answered by looking at one file.
#pragma once

#include <deque>
#include <filesystem>
#include <string_view>
#include <vector>

#include "conf/yaml_document.hpp"
#include "conf/yaml_reader.hpp"

namespace conf {

struct routes_source {
  yaml_source source;
  yaml_document document;
  bool may_be_empty = false;  ///< one of several

  /// Null if it is empty or no YAML.
  [[nodiscard]] const yaml_node* root() const { return document.root(); }
};

struct routes_sources {
  std::deque<routes_source> files;             ///< in the order in which they count: later ones win
  bool is_complete = true;                     ///< false: something could not be read, so names may be missing
  std::vector<std::filesystem::path> paths;    ///< of all files, even those that could not be read
  std::vector<std::filesystem::path> folders;  ///< in which a new file would count
};

/// Reads `path`, a file or a folder. `named` is the value that names it, where its absence is reported.
routes_sources gather_routes(const yaml_value& named, const std::filesystem::path& path);

/// One file, from memory; `include` leads nowhere.
routes_sources routes_from_text(std::string_view text, const yaml_source& source);

}  // namespace conf
