#include "proxy/doors.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace proxy {

std::optional<std::string> doors::open(asio::io_context& main, const conf::daemon_settings& settings,
                                       inherited_sockets& inherited, const listener::on_visit& visit) {
  for (const auto& where : settings.listen) {
    auto made = listener::open(main, where, inherited, visit);
    if (!made) return std::move(made.error());
    std::ranges::move(*made, std::back_inserter(all_));
  }
  return std::nullopt;
}

void doors::fit(const snapshot& now) {
  if (all_.empty()) return;  // the successor's
  const auto& entries = now.settings->listen;
  std::size_t found = 0;
  for (const auto& door : all_) {
    const auto entry = std::ranges::find_if(entries, [&](const auto& one) { return door->opened_by(one); });
    if (entry == entries.end()) continue;
    door->use(now.secrets->doors[static_cast<std::size_t>(entry - entries.begin())]);
    ++found;
  }
  const bool all_known = std::ranges::all_of(entries, [this](const auto& entry) {
    return std::ranges::any_of(all_, [&](const auto& door) { return door->opened_by(entry); });
  });
  if (found < all_.size() || !all_known) {
    spdlog::warn("a change of listen takes an upgrade (SIGUSR2) or a restart; the doors stay as they were");
  }
}

void doors::start() {
  for (const auto& door : all_) door->start();
}

void doors::close() {
  for (const auto& door : all_) door->close();
}

void doors::leave_to_successor() {
  for (const auto& door : all_) door->leave_to_successor();
  all_.clear();
}

std::string doors::names() const {
  std::string names;
  for (const auto& door : all_) names += (names.empty() ? "" : ", ") + door->name();
  return names;
}

std::vector<int> doors::descriptors(testament& will) const {
  std::vector<int> sockets;
  sockets.reserve(all_.size());
  for (const auto& door : all_) {
    sockets.push_back(door->descriptor());
    will.own_file.push_back(door->has_file());
  }
  return sockets;
}

}  // namespace proxy
