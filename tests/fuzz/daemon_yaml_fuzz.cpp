// Bytes as the daemon's own file: what is accepted has doors, routes and sane numbers, and every error has a place.
#include <cstdlib>
#include <string>

#include "conf/daemon_file.hpp"
#include "conf/yaml_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  conf::report out;
  const conf::yaml_source source{"pglodge.yaml", "/etc/pglodge", &out};
  const auto document = conf::yaml_document::parse(std::string(data, data + size));
  if (document.root() == nullptr) return 0;
  const auto settings = conf::read_daemon_file({source, *document.root(), conf::keys_of(conf::file_kind::daemon)});
  for (const auto& error : out.errors()) {
    const bool is_placed = error.starts_with("pglodge.yaml:") || error.starts_with("and ");
    if (!is_placed || error.size() > 10'000) std::abort();
  }
  if (out.warnings().size() > 3) std::abort();
  if (out.error_count() > 0) return 0;
  if (settings.listen.empty() || settings.routes.empty()) std::abort();
  for (const auto& door : settings.listen) {
    if (door.address.empty() == door.unix_folder.empty() || door.port == 0) std::abort();
  }
  if (settings.workers == 0u || settings.timeouts.startup.count() <= 0 || settings.timeouts.drain.count() <= 0)
    std::abort();
  return 0;
}
