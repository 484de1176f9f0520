// A tenant's id: the one name in the lodge that comes from outside and ends up in identifiers, so it exists only
// after it was checked.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace routing {

/// Matches [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}. Default-constructed it is empty: "no tenant".
class tenant_id {
 public:
  tenant_id() = default;
  static std::optional<tenant_id> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  friend auto operator<=>(const tenant_id&, const tenant_id&) = default;

 private:
  explicit tenant_id(std::string_view text) : text_(text) {}
  std::string text_;
};

/// For messages: `tenant "acme"`; without one, "the place of sessions without a tenant".
std::string in_words(const tenant_id& tenant);

}  // namespace routing
