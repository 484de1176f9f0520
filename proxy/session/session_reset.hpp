// Makes a server's session as new, for whoever starts with the same startup packet: sans I/O.
//
// DISCARD ALL brings settings, role, prepared statements, portals, temporary tables, sequences' memory, LISTEN and
// session advisory locks back to where they were after the startup (PostgreSQL docs, DISCARD). What it leaves is the
// random seed, by which random() could be foreseen, and that is drawn anew; and the schema of temporary objects, empty,
// by which a session could be told from a new one (PREPARE TRANSACTION says something else): one that has it fails.
//
// The server is taken at its word only if it says exactly what was asked for: an answer that belongs to an earlier
// statement, or a transaction that is open, is a failure, and the connection is good for nothing but closing.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/byte_reader.hpp"
#include "proxy/pool/parameters.hpp"

namespace proxy {

/// A call of setseed() as text. A fraction of [0, 1).
std::string sets_seed(double fraction);

class session_reset {
 public:
  explicit session_reset(double seed);

  /// What to send: whole messages.
  [[nodiscard]] std::string request() const;

  enum class outcome : std::uint8_t { goes_on, clean, failed };
  /// The server's next message. Nothing may come after the one that is `clean`.
  outcome on_message(char type, pgwire::byte_view body);

  /// What the server has reported meanwhile.
  [[nodiscard]] const parameter_map& reported() const { return reported_; }

 private:
  enum class awaits : std::uint8_t {
    unhampered,
    ready_to_discard,
    discarded,
    ready_again,
    columns,
    row,
    seeded,
    ready
  };
  bool take(char type, pgwire::byte_view body);

  const std::string seed_;
  awaits next_ = awaits::unhampered;
  parameter_map reported_;
};

}  // namespace proxy
