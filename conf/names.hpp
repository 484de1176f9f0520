// Names and addresses that mean something to PostgreSQL or the network: which texts can be one.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "routing/ascii.hpp"

namespace conf {

/// PostgreSQL cuts longer identifiers silently (NAMEDATALEN - 1), by which two tenants could become one.
inline constexpr std::size_t longest_identifier = 63;

/// What is wrong with this name of a role, schema or database, if anything.
std::optional<std::string> identifier_problem(std::string_view name);

/// Words for whole groups in pg_hba.conf's columns of databases and roles. In quotes they are names there.
enum class access_column : std::uint8_t { database, role };
bool is_access_keyword(std::string_view text, access_column column);

/// PostgreSQL's rule for names of settings, "work_mem", "app.tenant" (guc.c, valid_custom_variable_name; of ASCII
/// only), without the four that are no settings in a startup packet: user, database, options and replication.
std::optional<std::string> setting_name_problem(std::string_view name);

using routing::same_setting;

struct address {
  std::string host;  ///< without brackets; a folder begins with '/'
  std::optional<std::uint16_t> port;
};

/// "host", "host:port", "10.0.0.1:5432", "[v6]", "[v6]:port", "/folder", "/folder:port". The error says what to write.
std::expected<address, std::string> parse_address(std::string_view text);

/// Digits from 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text);

}  // namespace conf
