#include "proxy/session/inventory.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/hex.hpp>
#include <iterator>

#include "protocol/backend_messages.hpp"
#include "protocol/startup_options.hpp"
#include "routing/session_state.hpp"

namespace proxy {
namespace {

struct pin_row {
  pin which;
  std::string_view words;
  std::string_view query;  ///< an SQL expression that is true while the pin's cause is there; empty: cannot be asked
};

// Objects of a schema depend on it, and pg_depend has an index on that side: cheap however many tables there are.
constexpr std::array<pin_row, pin_count> pin_rows{{
    {pin::prepared, "SQL PREPARE", "EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)"},
    {pin::temporary, "temporary tables",
     "EXISTS(SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid "
     "AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"},
    {pin::listening, "LISTEN", "EXISTS(SELECT FROM pg_catalog.pg_listening_channels())"},
    {pin::hold_cursor, "a cursor WITH HOLD", "EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"},
    {pin::advisory_lock, "advisory locks",
     "EXISTS(SELECT FROM pg_catalog.pg_lock_status() AS l WHERE l.locktype OPERATOR(pg_catalog.=) "
     "'advisory'::pg_catalog.text AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"},
    {pin::authorization, "SET SESSION AUTHORIZATION",
     "EXISTS(SELECT FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a, pg_catalog.pg_roles AS r "
     "WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER AND r.oid OPERATOR(pg_catalog.<>) a.usesysid)"},
    {pin::loaded, "LOAD", ""},
    {pin::random_seed, "a random seed", ""},
    {pin::lingering, "something that only its connection has", ""},
}};

// A value is the same whatever client_encoding it is asked in: its bytes are the database's.
std::string in_bytes(const std::string& expression) {
  return "pg_catalog.encode(pg_catalog.convert_to(" + expression + ",pg_catalog.getdatabaseencoding()),'hex')";
}

std::optional<std::string> from_hex(std::string_view digits) try {
  std::string bytes;
  boost::algorithm::unhex(digits, std::back_inserter(bytes));
  return bytes;
} catch (const boost::algorithm::hex_decode_error&) {
  return std::nullopt;
}

const pin_row& row_of(pin which) { return pin_rows[static_cast<std::size_t>(which)]; }

}  // namespace

std::string_view to_string(pin why) { return row_of(why).words; }

std::string inventory_query::text() const {
  std::string text = "SELECT ";
  const auto item = [&](const std::string& expression) {
    if (text.size() > 7) text += ',';
    text += expression;
  };
  for (const std::string& name : what_.settings) {
    item(in_bytes("pg_catalog.current_setting(" + routing::text_expression(name) + ",true)"));
  }
  for (const std::string& name : what_.kinds) {
    item("(SELECT context FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) " +
         routing::text_expression(name) + "::pg_catalog.text)");
  }
  for (const pin_row& row : pin_rows) {
    if (what_.pins.has(row.which) && !row.query.empty()) item(std::string(row.query));
  }
  if (what_.every_setting) {
    text += ";SELECT name," + in_bytes("setting") +
            " FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'::pg_catalog.text";
  }
  return text;
}

bool inventory_query::on_row(pgwire::byte_view body) {
  const auto row = pgwire::backend::data_row::decode(body);
  if (!row) return false;
  if (statement_ > 1) {
    if (row->columns.size() != 2 || !row->columns[0] || !row->columns[1]) return false;
    // Those asked for by name were given as a client would read them.
    const std::string name = pgwire::canonical_setting_name(*row->columns[0]);
    const bool known = std::ranges::find(what_.settings, name) != what_.settings.end();
    auto value = from_hex(*row->columns[1]);
    if (!value) return false;
    if (!known) found_.settings.emplace_back(name, std::move(value));
    return true;
  }
  std::size_t at = 0;
  for (const std::string& name : what_.settings) {
    if (at >= row->columns.size()) return false;
    const auto digits = row->columns[at++];
    auto value = digits ? from_hex(*digits) : std::nullopt;
    if (digits && !value) return false;
    found_.settings.emplace_back(name, std::move(value));
  }
  for (const std::string& name : what_.kinds) {
    if (at >= row->columns.size()) return false;
    const auto context = row->columns[at++];
    const bool anybodys = !context || *context == "user";
    found_.settable.emplace_back(name, anybodys                  ? setting_kind::anybodys
                                       : *context == "superuser" ? setting_kind::superusers
                                                                 : setting_kind::nobodys);
  }
  for (const pin_row& each : pin_rows) {
    if (!what_.pins.has(each.which) || each.query.empty()) continue;
    if (at >= row->columns.size() || !row->columns[at]) return false;
    if (*row->columns[at++] == "t") found_.pins.add(each.which);
  }
  answered_ = at == row->columns.size();
  return answered_;
}

std::optional<inventory> inventory_query::result() const {
  if (!answered_) return std::nullopt;
  return found_;
}

}  // namespace proxy
