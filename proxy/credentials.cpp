#include "proxy/credentials.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/auth/auth_loading.hpp"
#include "proxy/auth/secret_file.hpp"

namespace proxy {
namespace {

class reader {
 public:
  loaded_credentials take() && {
    if (out_.errors.empty()) out_.secrets = std::make_shared<const credentials>(std::move(read_));
    return std::move(out_);
  }

  void read_door(const conf::listen_settings& door) {
    auto& made = read_.doors.emplace_back();
    if (door.tls == conf::listen_tls_mode::off || door.tls_certificates.empty()) return;
    for (const auto& files : door.tls_certificates) {
      note(files.certificate);
      note_secret(files.key);
    }
    note(door.tls_client_ca);
    auto loaded = door_tls::load(door);
    const std::string name =
        door.unix_folder.empty() ? door.address + ":" + std::to_string(door.port) : door.unix_folder.native();
    if (loaded) {
      made = std::move(*loaded);
    } else {
      out_.errors.push_back("listen " + name + ": tls: " + loaded.error());
    }
  }

  // After the servers, one of which auth.query may ask.
  void read_clients(auth_tools& tools, const conf::daemon_settings& settings, const routing::route_table& routes) {
    const pgwire::secret_string* password = nullptr;
    if (const routing::server* asked = asked_server(settings.auth, routes)) {
      const auto& access = *read_.servers.at(asked->name);
      if (access.password) password = &*access.password;
    }
    auto loaded = load_auth_source(tools, settings.auth, settings.timeouts, routes, password);
    read_.clients = std::move(loaded.source);
    std::ranges::move(loaded.errors, std::back_inserter(out_.errors));
    std::ranges::move(loaded.warnings, std::back_inserter(out_.warnings));
    std::ranges::move(loaded.files, std::back_inserter(out_.files));
  }

  void read_server(const routing::server& server) {
    auto access = std::make_shared<server_access>();
    if (server.tls != routing::tls_mode::disable) {
      note(server.tls_ca);
      note(server.tls_certificate);
      note_secret(server.tls_key);
      auto loaded = server_tls::load(server);
      if (loaded) {
        access->tls = std::move(*loaded);
      } else {
        out_.errors.push_back("servers." + server.name + ".tls: " + loaded.error());
      }
    }
    if (!server.password_file.empty()) {
      note(server.password_file);
      auto file = read_password_file(server.password_file);
      if (file) {
        access->password = std::move(file->text);
        if (file->warning) out_.warnings.push_back(std::move(*file->warning));
      } else {
        out_.errors.push_back("servers." + server.name + ".password_file: cannot use \"" + server.password_file +
                              "\": " + file.error());
      }
    }
    read_.servers.emplace(server.name, std::move(access));
  }

 private:
  void note(const std::filesystem::path& file) {
    if (!file.empty()) out_.files.push_back(file);
  }

  void note_secret(const std::filesystem::path& file) {
    note(file);
    struct stat info{};
    if (::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
      out_.warnings.push_back("\"" + file.native() +
                              "\" holds a secret that every user of this machine can read; "
                              "chmod o= it");
    }
  }

  credentials read_;
  loaded_credentials out_;
};

}  // namespace

std::optional<pgwire::secret_key> server_access::salted_password(std::string_view salt,
                                                                 std::uint32_t iterations) const {
  const std::scoped_lock lock(mutex_);
  if (!derived_ || derived_->salt != salt || derived_->iterations != iterations) return std::nullopt;
  return derived_->key;
}

void server_access::remember(std::string salt, std::uint32_t iterations, const pgwire::secret_key& salted) const {
  const std::scoped_lock lock(mutex_);
  derived_ = derived{std::move(salt), iterations, salted};
}

loaded_credentials load_credentials(auth_tools& tools, const conf::daemon_settings& settings,
                                    const routing::route_table& routes) {
  reader all;
  for (const auto& door : settings.listen) all.read_door(door);
  for (const auto& [name, server] : routes.parts().servers) all.read_server(*server);
  all.read_clients(tools, settings, routes);
  return std::move(all).take();
}

}  // namespace proxy
