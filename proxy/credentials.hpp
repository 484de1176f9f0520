// What the configuration names in other files: certificates, keys and passwords, read once per load.
//
// They are read away from the event loops, with the configuration that names them, and like it all or nothing: a key
// that cannot be read refuses the whole load, and what was in force stays. The files are watched as the configuration's
// own are, so that a renewed certificate is in force as soon as it is written.
#pragma once

#include <atomic>
#include <expected>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "conf/daemon_file.hpp"
#include "protocol/secret.hpp"
#include "proxy/auth/auth_source.hpp"
#include "proxy/tls.hpp"
#include "routing/route_table.hpp"

namespace proxy {

/// How the lodge gets into one server. Safe to use from any thread.
class server_access {
 public:
  std::shared_ptr<const server_tls> tls;          ///< null where the server's tls.mode is disable
  std::optional<pgwire::secret_string> password;  ///< of the server's own `user`

  /// The key that PBKDF2 makes of the password for this salt and count, if `remember` was told it. Since one role has
  /// one salt, every login but the first is spared the work.
  [[nodiscard]] std::optional<pgwire::secret_key> salted_password(std::string_view salt,
                                                                  std::uint32_t iterations) const;
  void remember(std::string salt, std::uint32_t iterations, const pgwire::secret_key& salted) const;

  /// True the first time: what is asked for each connection is then said once.
  [[nodiscard]] bool first_in_plain_text() const { return !in_plain_text_.exchange(true, std::memory_order_relaxed); }

 private:
  struct derived {
    std::string salt;
    std::uint32_t iterations;
    pgwire::secret_key key;
  };
  mutable std::mutex mutex_;
  mutable std::optional<derived> derived_;
  mutable std::atomic<bool> in_plain_text_ = false;
};

struct credentials {
  std::vector<std::shared_ptr<const door_tls>> doors;  ///< in the order of `listen`; null where no TLS is spoken
  std::unordered_map<std::string, std::shared_ptr<const server_access>> servers;  ///< by name; one for each
  std::shared_ptr<auth_source> clients;                                           ///< never null
};

struct loaded_credentials {
  std::shared_ptr<const credentials> secrets;  ///< null if there was any error
  std::vector<std::string> errors, warnings;   ///< lines for people, with the key and the file
  std::vector<std::filesystem::path> files;    ///< what was read, or should have been
};

/// Does not throw for anything that can be wrong with the files.
loaded_credentials load_credentials(auth_tools& tools, const conf::daemon_settings& settings,
                                    const routing::route_table& routes);

}  // namespace proxy
