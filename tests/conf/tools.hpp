// What the tests of conf/ share: reading from memory, and a folder for those that need files.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "conf/daemon_file.hpp"
#include "conf/load.hpp"
#include "conf/routes_file.hpp"
#include "tests/temporary_folder.hpp"

namespace tests {

/// A file read from memory: what it gives, and what was said about it.
template <class Parts>
struct reading {
  std::vector<std::string> errors, warnings;
  Parts parts;
};

inline reading<routing::table_parts> read_routes(std::string_view text) {
  conf::report out;
  const conf::yaml_source source{"routes.yaml", "/etc/pglodge", &out};
  auto parts = conf::read_routes(conf::routes_from_text(text, source));
  return {out.errors(), out.warnings(), std::move(parts)};
}

inline reading<conf::daemon_settings> read_daemon(std::string_view text) {
  conf::report out;
  const conf::yaml_source source{"pglodge.yaml", "/etc/pglodge", &out};
  const auto document = conf::yaml_document::parse(text);
  for (const auto& one : document.problems()) out.error(source.name, one.at, one.path, one.what);
  conf::daemon_settings settings;
  if (document.root() != nullptr) {
    settings = conf::read_daemon_file({source, *document.root(), conf::keys_of(conf::file_kind::daemon)});
  }
  return {out.errors(), out.warnings(), std::move(settings)};
}

/// Appends each of these sections (lines "key: value") whose key the text lacks, so that a test writes only what it is
/// about, and positions count from its own first line.
inline std::string completed(std::string text, const std::vector<std::string>& sections) {
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  for (const std::string& section : sections) {
    const std::string key = section.substr(0, section.find(':') + 1);
    if (!text.starts_with(key) && !text.contains("\n" + key)) text += section + "\n";
  }
  return text;
}

inline std::string with_places(std::string text) {
  return completed(std::move(text), {"servers: { main: { hosts: [pg1] } }", "databases: { shared: { server: main } }",
                                     "defaults: { database: shared }", "tenants: { acme: {} }"});
}

inline std::string with_door(std::string text) {
  return completed(std::move(text), {"listen: [{ address: a }]", "routes: r.yaml"});
}

class configuration_folder : public temporary_folder {
 public:
  /// What conf::load says, with this folder's name taken out of the errors.
  [[nodiscard]] conf::loaded load(const std::string& name = "pglodge.yaml") const {
    conf::loaded result = conf::load(path() / name);
    const std::string prefix = path().native() + "/";
    for (std::string& error : result.errors) {
      for (auto at = error.find(prefix); at != std::string::npos; at = error.find(prefix))
        error.erase(at, prefix.size());
    }
    return result;
  }
};

}  // namespace tests

template <>
struct Catch::StringMaker<conf::position> {
  static std::string convert(conf::position at) { return std::to_string(at.line) + ":" + std::to_string(at.column); }
};
