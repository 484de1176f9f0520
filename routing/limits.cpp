#include "routing/limits.hpp"

namespace routing {

std::string_view limit_owner::kind() const {
  if (shared_ == nullptr) return "tenant";
  return shared_->of == sharer::role ? "role" : "database";
}

std::string limit_owner::path(std::string_view key) const {
  std::string path;
  if (shared_ != nullptr) path = std::string(kind()) + "s." + shared_->name + ".";
  return path + "limits." + std::string(key);
}

limits_in_force::time limits_in_force::shortest(time_of which) const {
  time found;
  const auto look = [&](const limits& of, limit_owner whose) {
    const auto& limit = of.*which;
    if (!limit || limit->count() <= 0) return;
    if (found.is.count() == 0 || *limit < found.is) found = {*limit, whose};
  };
  look(own_, limit_owner());
  for (const auto& one : shared_) look(one->limits, limit_owner(*one));
  return found;
}

}  // namespace routing
