// Asking the server what a transaction has left in its session. The analysis of statements says what may have happened;
// the server says what did: which value a touched setting has, and whether something now lives in the session that
// only this connection has (a pin).
//
// Pure: it makes the query's text and reads its rows. Every name in the text is qualified, operators included, since it
// runs with the client's search_path.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/byte_reader.hpp"

namespace proxy {

/// Why a session keeps its server connection.
enum class pin : std::uint8_t {
  prepared,       ///< SQL PREPARE
  temporary,      ///< temporary tables, views, functions, types
  listening,      ///< LISTEN
  hold_cursor,    ///< DECLARE ... WITH HOLD
  advisory_lock,  ///< session-level advisory locks
  authorization,  ///< SET SESSION AUTHORIZATION
  loaded,         ///< LOAD; nothing undoes it
  random_seed,    ///< SET SEED, setseed()
  lingering,      ///< what some functions leave in a server process and nobody can ask for
};
inline constexpr unsigned pin_count = 9;
/// For people: "temporary tables".
std::string_view to_string(pin why);

class pin_set {
 public:
  constexpr pin_set() = default;
  constexpr pin_set(std::initializer_list<pin> pins) {
    for (const pin each : pins) add(each);
  }
  constexpr void add(pin which) { bits_ = static_cast<std::uint16_t>(bits_ | bit(which)); }
  constexpr void remove(pin which) { bits_ = static_cast<std::uint16_t>(bits_ & ~bit(which)); }
  [[nodiscard]] constexpr bool has(pin which) const { return (bits_ & bit(which)) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  constexpr pin_set& operator|=(pin_set other) {
    bits_ = static_cast<std::uint16_t>(bits_ | other.bits_);
    return *this;
  }
  [[nodiscard]] constexpr pin_set both(pin_set other) const { return from_bits(bits_ & other.bits_); }
  [[nodiscard]] constexpr pin_set without(pin_set other) const { return from_bits(bits_ & ~other.bits_); }
  friend constexpr bool operator==(pin_set, pin_set) = default;

 private:
  static constexpr unsigned bit(pin which) { return 1U << static_cast<unsigned>(which); }
  static constexpr pin_set from_bits(unsigned bits) {
    pin_set made;
    made.bits_ = static_cast<std::uint16_t>(bits);
    return made;
  }
  std::uint16_t bits_ = 0;
};

/// Those that the server can be asked about: they end when their cause is gone.
inline constexpr pin_set passing_pins{pin::prepared,    pin::temporary,     pin::listening,
                                      pin::hold_cursor, pin::advisory_lock, pin::authorization};

/// What is to be asked.
struct inventory_request {
  std::vector<std::string> settings;  ///< canonical names
  pin_set pins;                       ///< of the passing ones
  std::vector<std::string> kinds;     ///< of which settings to ask whether a session may set them at all
  bool every_setting = false;         ///< also all that were changed in this session and can be listed
};

/// Who may set a setting in a session.
enum class setting_kind : std::uint8_t { anybodys, superusers, nobodys };

/// What the server said.
struct inventory {
  /// Values in the database's encoding; nothing: no such setting (now).
  std::vector<std::pair<std::string, std::optional<std::string>>> settings;
  std::vector<std::pair<std::string, setting_kind>> settable;  ///< of the kinds asked for
  pin_set pins;                                                ///< of those asked for
};

class inventory_query {
 public:
  explicit inventory_query(inventory_request what) : what_(std::move(what)) {}

  [[nodiscard]] pin_set pins() const { return what_.pins; }
  [[nodiscard]] const inventory_request& request() const { return what_; }

  /// One or two statements for one Query message.
  [[nodiscard]] std::string text() const;

  /// To be called for each RowDescription and each DataRow (its body) of the answer. False: that is not the answer.
  void on_row_description() { ++statement_; }
  bool on_row(pgwire::byte_view body);

  /// After the answer's end; nothing if it was not whole.
  [[nodiscard]] std::optional<inventory> result() const;

 private:
  inventory_request what_;
  inventory found_;
  int statement_ = 0;
  bool answered_ = false;
};

}  // namespace proxy
