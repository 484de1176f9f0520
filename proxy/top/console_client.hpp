// The console as a client sees it: by libpq, which blocks. For `pglodge top`, which has nothing else to do meanwhile.
#pragma once

#include <expected>
#include <string>

#include "proxy/libpq_parameters.hpp"
#include "proxy/top/top_table.hpp"

namespace proxy::top {

class console_client {
 public:
  /// `where` is a URL or a connection string. Error: for people, a password in it is not told.
  static std::expected<console_client, std::string> open(const std::string& where);

  /// Both tables. Error: likewise.
  std::expected<look, std::string> take_look();

 private:
  explicit console_client(pg_conn* connection) : connection_(connection) {}
  std::expected<answer_table, std::string> ask(const char* command);

  libpq_connection connection_;
};

}  // namespace proxy::top
