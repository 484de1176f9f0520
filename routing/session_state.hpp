// What a session stands for at a server, as a value: the tenant's part (search_path, role, settings) and the client's
// own (what came with its startup packet, then each SET that was committed).
//
// A server connection wears one such value. Lending it to a session whose value differs means putting on the
// difference; routing to another tenant, replaying a SET and cleaning up are the same operation.
//
// The order in which a dress is put on matters for safety: the tenant's settings are put on as the role that logged in,
// then the tenant's role, and only then, with no more rights than that role has, what the client chose.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/route.hpp"

namespace routing {

/// An SQL identifier in double quotes, inner ones doubled (PostgreSQL docs, 4.1.1).
std::string quote_identifier(std::string_view name);

/// An SQL expression, all of it ASCII, whose value is this text, whatever the standard_conforming_strings,
/// backslash_quote and client_encoding it is read with. What is not ASCII is given as bytes in the database's encoding:
/// as a constant it could be a character whose second byte is a backslash (SJIS, BIG5, GBK), which escapes the quote
/// behind it.
std::string text_expression(std::string_view text);

/// The value of search_path: each schema quoted, separated by ", ".
std::string search_path_value(const std::vector<std::string>& schemas);

/// The settings a server session starts with and RESET comes back to: search_path, role, then the route's own.
/// Names as PostgreSQL spells them.
setting_list session_defaults(const route& where);

class session_state;
using session_state_ptr = std::shared_ptr<const session_state>;

/// Names and values are in the database's encoding.
class session_state {
 public:
  /// What a fresh connection wears: nothing.
  session_state() = default;
  /// `tenant` as `session_defaults` gives it; an entry "role" is the role. `own`: the client's settings by canonical
  /// name; where both name one, the client's counts. Of several entries of one name the last counts.
  session_state(const setting_list& tenant, const setting_list& own);

  /// The same session after the client's own setting became this; nothing: it has none of its own any more.
  [[nodiscard]] session_state with(std::string_view name, std::optional<std::string_view> value) const;

  /// The value worn of a setting; null: the server's default.
  [[nodiscard]] const std::string* find(std::string_view name) const;

  [[nodiscard]] const std::string& role() const { return role_; }  ///< empty: the one that logged in
  [[nodiscard]] const setting_list& tenant() const { return tenant_; }
  [[nodiscard]] const setting_list& own() const { return own_; }

  /// Equal values have equal fingerprints.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  /// The same of those settings that `affects_reading`: statements may be shared between sessions that agree in it.
  [[nodiscard]] std::uint64_t reading_fingerprint() const { return reading_fingerprint_; }
  /// Whether a server ends sessions that wear this and have nothing to do, or hardly anything: then nobody else may get
  /// the connection, which could end under them.
  [[nodiscard]] bool ends_when_idle() const { return ends_when_idle_; }
  /// Whether its statement_timeout is so short that it may end what is said for the next session, or its transactions
  /// may have to wait for others' (SET TRANSACTION, DEFERRABLE).
  [[nodiscard]] bool hampers() const { return hampers_; }
  friend bool operator==(const session_state& a, const session_state& b) {
    return a.fingerprint_ == b.fingerprint_ && a.role_ == b.role_ && a.tenant_ == b.tenant_ && a.own_ == b.own_;
  }

 private:
  void seal();

  std::string role_;
  setting_list tenant_;  ///< sorted by name, without the role
  setting_list own_;     ///< sorted by name; may hold "role"
  std::uint64_t fingerprint_ = 0;
  std::uint64_t reading_fingerprint_ = 0;
  bool ends_when_idle_ = false;
  bool hampers_ = false;
};

/// Whether a setting may change what a statement's text means: where names are looked for, how constants are read, as
/// whom. False only for those known not to.
bool affects_reading(std::string_view setting);

enum class reach : std::uint8_t { session, transaction };

/// One step of dressing: set a setting, or (nothing) take it back to the server's default.
struct dress_step {
  std::string name;
  std::optional<std::string> value;
  reach how_far = reach::session;
  bool as_login_role = false;  ///< with the rights of the role that logged in, whichever is on
  friend bool operator==(const dress_step&, const dress_step&) = default;
};

/// What turns a connection that wears `worn` into one that wears `wanted`, in order.
std::vector<dress_step> difference(const session_state& worn, const session_state& wanted);

/// One SELECT of set_config() calls, all of it ASCII, that takes the steps in order; there must be one at least. Every
/// name in it is qualified, so that it means the same whatever the search_path. Steps `as_login_role` leave the role as
/// the query found it, also where it was set for a transaction only: so none of them may stand behind one of "role".
std::string dress_query(const std::vector<dress_step>& steps);

}  // namespace routing
