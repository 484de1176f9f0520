// Asks a PostgreSQL server for a role's secret: `auth.query`, on connections of the lodge's own. Blocks, so it is for
// the threads of a `slow_work`; it never blocks for longer than its deadlines, but for the look-up of a host's name,
// which cannot be interrupted.
//
// What must hold, for the client is not yet known to be anybody (CVE-2025-12819, CVE-2015-6817):
//   - Nothing of a client's goes to the server but the role's name, and that only as the value of $1.
//   - search_path is pg_catalog alone, from the first byte on, and stays so: these connections are used for nothing
//   else.
//   - What is not said here is not taken from the environment or the home folder of whoever runs the lodge either.
//   - Exactly one row, of two columns, whose name is the role's, or none. Anything else is a failure.
// A server that does not answer in time is given up, its connection closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "protocol/password_secret.hpp"
#include "proxy/libpq_parameters.hpp"
#include "routing/route.hpp"

namespace proxy {

struct role_query_settings : libpq_login {
  std::string database;  ///< the entry of `databases` that is asked, for people
  std::vector<routing::host> hosts;
  std::string sql;
  std::chrono::milliseconds connect_timeout{5000};  ///< for one host
};

class role_query {
 public:
  using clock = std::chrono::steady_clock;
  /// As many as there are threads that ask.
  static constexpr std::size_t most_connections = 2;
  static constexpr std::chrono::milliseconds query_timeout{5000};
  static constexpr std::chrono::seconds most_idle{60};
  static constexpr std::chrono::seconds most_age{300};
  /// How long it is taken for granted that a database that could not be reached still cannot.
  static constexpr std::chrono::seconds failure_memory{1};
  static constexpr std::chrono::milliseconds stop_interval{50};

  explicit role_query(role_query_settings settings);
  ~role_query();
  role_query(const role_query&) = delete;
  role_query& operator=(const role_query&) = delete;

  struct answer {
    std::optional<pgwire::password_secret> secret;  ///< nothing: no such role, or none that may log in by a password
    std::string remark;                             ///< for the log, if there is something to be said
  };
  /// Safe from several threads. The error is for the log, and not for clients. A stop that is requested is heeded
  /// within `stop_interval`.
  std::expected<answer, std::string> ask(const std::string& role, const std::stop_token& stop);

  /// Closes what was not used for `most_idle`. Quick; to be called every now and then.
  void close_idle(clock::time_point now);

 private:
  struct kept {
    libpq_connection to;
    clock::time_point born, used;
  };
  struct failure {
    std::string why;
    bool lost = false;  ///< the connection broke, which a kept one may have done long ago
  };

  std::optional<kept> take_kept(clock::time_point now);
  std::expected<kept, std::string> connect(const std::stop_token& stop);
  std::expected<libpq_connection, std::string> connect_to(const routing::host& where,
                                                          const std::stop_token& stop) const;
  std::expected<answer, failure> run(kept& on, const std::string& role, const std::stop_token& stop) const;
  void keep(kept one);

  const role_query_settings settings_;
  std::mutex mutex_;
  std::vector<kept> idle_;        ///< who was used last is last
  std::size_t primary_ = 0;       ///< the host that served last
  clock::time_point down_until_;  ///< until when `down_why_` is the answer
  std::string down_why_;
};

}  // namespace proxy
