// The hints that a session gives while it runs: settings whose values name its tenant.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "routing/ids.hpp"
#include "routing/refusal.hpp"
#include "routing/tenant_hint.hpp"

namespace routing {

class session_hints {
 public:
  session_hints() = default;
  /// Takes those for the session's beginning, too, and leaves them alone.
  explicit session_hints(const std::vector<hint>& hints);

  [[nodiscard]] bool empty() const { return hints_.empty(); }
  /// Whether this setting names tenants. By its canonical name, as everywhere here.
  [[nodiscard]] bool concerns(std::string_view setting) const;
  /// The tenant that a setting's new value names, empty if none. `items`: those of SET's list, or set_config()'s one
  /// text. Refusal: 3D000, the value of a variable is not empty and no id.
  [[nodiscard]] std::expected<tenant_id, refusal> named_by(std::string_view setting,
                                                           const std::vector<std::string>& items) const;

 private:
  struct spoken {
    std::string setting;
    std::vector<name_template> schemas;  ///< of search_path; none: the whole value is the id
  };
  [[nodiscard]] const spoken* find(std::string_view setting) const;

  std::vector<spoken> hints_;
};

}  // namespace routing
