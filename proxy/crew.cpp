#include "proxy/crew.hpp"

#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace proxy {
namespace {

unsigned cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace

std::expected<void, std::string> crew::start(const snapshot_ptr& first) {
  workers_ = first->settings->workers;
  io_ = first->settings->io;
  const unsigned count = workers_.value_or(cores());
  for (unsigned i = 0; i < count; ++i) all_.push_back(std::make_unique<worker>(i, shared_, first));
  std::optional<std::string> without_ring;
  for (const auto& one : all_) {
    if (auto why = one->start()) without_ring = std::move(why);
  }
  if (without_ring && io_ == conf::io_method::io_uring) {
    return std::unexpected("io_method is io_uring, which is not to be had here (" + *without_ring +
                           "); write auto or epoll");
  }
  if (without_ring) spdlog::info("epoll it is: io_uring is not to be had here ({})", *without_ring);
  return {};
}

void crew::stop() {
  for (const auto& one : all_) one->stop();
}

std::vector<std::size_t> crew::loads() const {
  std::vector<std::size_t> each(all_.size());
  std::ranges::transform(all_, each.begin(), [](const auto& one) { return one->load(); });
  return each;
}

std::size_t crew::sessions() const {
  const auto each = loads();
  return std::accumulate(each.begin(), each.end(), std::size_t{0});
}

clock::time_point crew::last_moved() const {
  const auto slowest = std::ranges::min_element(all_, {}, [](const auto& one) { return one->last_sweep(); });
  return (*slowest)->last_sweep();
}

void crew::take(visitor who) {
  const auto least = std::ranges::min_element(all_, {}, [](const auto& one) { return one->load(); });
  (*least)->take(std::move(who));
}

void crew::publish(const snapshot_ptr& next) {
  if (next->settings->workers != workers_ || next->settings->io != io_) {
    spdlog::warn("a change of workers or io_method takes an upgrade (SIGUSR2) or a restart; they stay as they were");
  }
  for (const auto& one : all_) one->publish(next);
}

void crew::close_sessions(closing how) {
  for (const auto& one : all_) one->close_sessions(how);
}

}  // namespace proxy
