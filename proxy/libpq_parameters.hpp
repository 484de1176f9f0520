// libpq, where the lodge uses it itself: who owns what it gives, and what it is told. The daemon tells it everything,
// so that nothing is taken from the environment or the home folder of whoever runs the lodge.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/secret.hpp"
#include "routing/route.hpp"

struct pg_conn;
struct pg_result;

namespace proxy {

struct libpq_login {
  routing::tls_mode tls = routing::tls_mode::disable;
  std::string tls_ca, tls_certificate, tls_key;  ///< paths; may be empty
  std::string dbname, user;
  std::optional<pgwire::secret_string> password;
  friend bool operator==(const libpq_login&, const libpq_login&) = default;
};

/// Names and values for PQconnectStartParams, which end in a null. What they point to belongs to the parts that they
/// were made of, which must outlive them.
class libpq_parameters {
 public:
  libpq_parameters(const libpq_login& who, const routing::host& where);
  libpq_parameters(const libpq_parameters&) = delete;
  libpq_parameters& operator=(const libpq_parameters&) = delete;

  void add(const char* name, const char* value);
  [[nodiscard]] const char* const* names() const { return names_.data(); }
  [[nodiscard]] const char* const* values() const { return values_.data(); }

 private:
  const std::string port_;
  pgwire::secret_string password_;  // with a zero byte at its end
  std::vector<const char*> names_{nullptr}, values_{nullptr};
};

struct libpq_finisher {
  void operator()(pg_conn* connection) const;
};
using libpq_connection = std::unique_ptr<pg_conn, libpq_finisher>;

struct libpq_clearer {
  void operator()(pg_result* result) const;
};
using libpq_result = std::unique_ptr<pg_result, libpq_clearer>;

/// libpq's words in one line; never empty.
std::string libpq_words(const char* message);

}  // namespace proxy
