// What lives in the model server's session and follows its transactions: settings, and what a transaction can bring
// about or take back. A value: a transaction keeps a copy of what it began with.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace fuzz_model {

/// As PostgreSQL's SHOW spells them. One is reported to the client (ParameterStatus).
inline constexpr std::array<std::string_view, 4> setting_names{"role", "search_path", "work_mem", "application_name"};
inline constexpr std::size_t setting_count = setting_names.size();
inline constexpr std::size_t role_at = 0, path_at = 1, reported_at = 3;

using defaults = std::array<std::string, setting_count>;

inline std::optional<std::size_t> setting_called(std::string_view name) {
  const auto at = std::ranges::find(setting_names, name);
  if (at == setting_names.end()) return std::nullopt;
  return static_cast<std::size_t>(at - setting_names.begin());
}

struct session {
  std::array<std::optional<std::string>, setting_count> set;    ///< nothing: the default
  std::array<std::optional<std::string>, setting_count> local;  ///< until the transaction's end
  bool listens = false;
  bool temporary = false;

  [[nodiscard]] const std::string& value(std::size_t at, const defaults& otherwise) const {
    if (local[at]) return *local[at];
    return set[at] ? *set[at] : otherwise[at];
  }
  void change(std::size_t at, const std::optional<std::string>& value, bool locally, const defaults& otherwise) {
    if (locally) {
      local[at] = value ? *value : otherwise[at];
    } else {
      set[at] = value;
      local[at].reset();
    }
  }
  void reset_all() {  // the role is GUC_NO_RESET_ALL
    for (std::size_t at = 0; at < setting_count; ++at) {
      if (at == role_at) continue;
      set[at].reset();
      local[at].reset();
    }
  }
  void transaction_ended() { local = {}; }
};

}  // namespace fuzz_model
