// The guard: in a shared database a session may not take off its tenant's dress. It refuses statements that would
// change search_path (other than to a selection of the route's own schemas), the role, the session's authorization or
// the tenant's own settings.
//
// What it cannot read it refuses. What it cannot see is dynamic SQL in DO blocks and functions; what it does not try to
// see is qualified names. A role of the tenant's own closes the second, a login of its own both.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error_response.hpp"
#include "routing/route.hpp"

namespace proxy {

class session_guard {
 public:
  /// Lets everything pass.
  session_guard() = default;
  /// As the route has it.
  explicit session_guard(const routing::route& where);

  [[nodiscard]] bool is_on() const { return rules_ != nullptr; }
  /// For a statement of which cannot be told what it sets.
  static pgwire::error_report unreadable();

  /// Whether this setting may become this; what the tenant's own settings are already, they may be set to. `values`:
  /// the items it is set to, nothing where one is not known; empty means back to the default, which always passes.
  /// Error: 42501, severity ERROR.
  [[nodiscard]] std::optional<pgwire::error_report> refuses(
      std::string_view setting, const std::vector<std::optional<std::string>>& values) const;

 private:
  struct rules {
    std::string tenant;
    std::vector<std::string> schemas;
    routing::setting_list settings;  ///< the tenant's own, by canonical name
  };
  std::shared_ptr<const rules> rules_;
};

}  // namespace proxy
