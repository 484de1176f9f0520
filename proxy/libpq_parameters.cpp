#include "proxy/libpq_parameters.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

namespace proxy {
namespace {

// No file is there, whatever runs the lodge: libpq would otherwise look into its user's home folder.
constexpr const char* no_file = "/dev/null/none";

const char* sslmode_of(routing::tls_mode mode) {
  switch (mode) {
    case routing::tls_mode::disable: return "disable";
    case routing::tls_mode::prefer: return "prefer";
    case routing::tls_mode::require: return "require";
    case routing::tls_mode::verify_ca: return "verify-ca";
    case routing::tls_mode::verify_full: return "verify-full";
  }
  std::unreachable();
}

const char* or_no_file(const std::string& path) { return path.empty() ? no_file : path.c_str(); }

}  // namespace

libpq_parameters::libpq_parameters(const libpq_login& who, const routing::host& where)
    : port_(std::to_string(where.port)), password_(who.password ? who.password->view().size() + 1 : 1) {
  if (who.password) std::ranges::copy(who.password->view(), password_.writable().begin());
  add("host", where.address.c_str());
  add("port", port_.c_str());
  add("dbname", who.dbname.c_str());
  add("user", who.user.c_str());
  add("password", password_.writable().data());
  add("passfile", no_file);
  add("sslmode", sslmode_of(who.tls));
  add("sslrootcert", or_no_file(who.tls_ca));
  add("sslcert", or_no_file(who.tls_certificate));
  add("sslkey", or_no_file(who.tls_key));
  add("sslcrl", no_file);
  add("channel_binding", "prefer");
  add("gssencmode", "disable");
}

void libpq_parameters::add(const char* name, const char* value) {
  names_.insert(names_.end() - 1, name);
  values_.insert(values_.end() - 1, value);
}

void libpq_finisher::operator()(pg_conn* connection) const { PQfinish(connection); }

void libpq_clearer::operator()(pg_result* result) const { PQclear(result); }

std::string libpq_words(const char* message) {
  std::string text(message);
  while (text.ends_with('\n')) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text.empty() ? "no reason was given" : text;
}

}  // namespace proxy
