#include "proxy/watcher.hpp"

#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "proxy/error_text.hpp"

namespace proxy {

namespace fs = std::filesystem;

namespace {

constexpr int most_links = 40;  // as the kernel's own limit on following them (path_resolution(7))

void collect_folders(const fs::path& file, int links_left, std::vector<fs::path>& out) {
  fs::path at = file.is_absolute() ? "/" : ".";
  const fs::path relative = file.relative_path();
  for (auto part = relative.begin(); part != relative.end(); ++part) {
    const fs::path next = at / *part;
    std::error_code error;
    if (fs::is_symlink(fs::symlink_status(next, error)) && links_left > 0) {
      out.push_back(at);
      fs::path target = fs::read_symlink(next, error);
      if (target.is_relative()) target = at / target;
      for (auto rest = std::next(part); rest != relative.end(); ++rest) target /= *rest;
      collect_folders(target, links_left - 1, out);
      return;
    }
    at = next;
  }
  out.push_back(file.has_parent_path() ? file.parent_path() : fs::path("."));
}

void append_stat(const fs::path& path, std::string& out) {
  struct stat info{};
  out += path.native();
  if (::stat(path.c_str(), &info) != 0) {
    out += " missing\n";
    return;
  }
  for (const auto part : {static_cast<long long>(info.st_dev), static_cast<long long>(info.st_ino),
                          static_cast<long long>(info.st_mtim.tv_sec), static_cast<long long>(info.st_mtim.tv_nsec),
                          static_cast<long long>(info.st_size), static_cast<long long>(info.st_mode)}) {
    out += ' ';
    out += std::to_string(part);
  }
  out += '\n';
}

bool is_yaml(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

}  // namespace

std::vector<fs::path> folders_on_the_way(const fs::path& file) {
  std::vector<fs::path> found;
  collect_folders(file, most_links, found);
  std::vector<fs::path> folders;
  for (fs::path folder : found) {
    std::error_code error;
    fs::path real = fs::canonical(folder, error);
    while (error && folder.has_relative_path()) {
      folder = folder.has_parent_path() ? folder.parent_path() : fs::path(".");
      real = fs::canonical(folder, error);
    }
    if (!error && std::ranges::find(folders, real) == folders.end()) folders.push_back(std::move(real));
  }
  return folders;
}

watcher::watcher(asio::io_context& context, std::function<void()> on_change)
    : inotify_(context), settle_timer_(context), on_change_(std::move(on_change)) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "inotify");
  inotify_.assign(fd);
  asio::co_spawn(context, run(), asio::detached);
}

void watcher::watch(std::vector<fs::path> files, std::vector<fs::path> folders,
                    std::chrono::system_clock::time_point read_at) {
  files_ = std::move(files);
  folders_ = std::move(folders);
  watched_ = where_to_look();
  follow();
  last_seen_ = fingerprint();
  // Reported once per sight: a file whose time lies in the future would otherwise be read again for ever.
  if (changed_since(read_at) && last_seen_ != reported_) {
    reported_ = last_seen_;
    on_change_();
  }
}

std::vector<fs::path> watcher::where_to_look() const {
  std::vector<fs::path> all;
  const auto add = [&](const fs::path& file) {
    for (fs::path& folder : folders_on_the_way(file)) {
      if (std::ranges::find(all, folder) == all.end()) all.push_back(std::move(folder));
    }
  };
  for (const fs::path& folder : folders_) add(folder / "*.yaml");
  for (const fs::path& file : files_) add(file);
  return all;
}

void watcher::follow() {
  for (const int watch : watches_) ::inotify_rm_watch(inotify_.native_handle(), watch);
  watches_.clear();
  for (const fs::path& folder : watched_) {
    const int watch = ::inotify_add_watch(inotify_.native_handle(), folder.c_str(),
                                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                              IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF);
    if (watch < 0) {
      spdlog::warn("cannot watch {}: {}; SIGHUP still reloads", folder.native(), error_text(errno));
    } else {
      watches_.push_back(watch);
    }
  }
}

void watcher::close() {
  error_code ignored;
  inotify_.close(ignored);
  settle_timer_.cancel();
}

task<void> watcher::run() {
  while (inotify_.is_open()) {
    auto [failed] = co_await inotify_.async_wait(descriptor::wait_read, no_throw);
    if (failed) co_return;
    const auto give_up_waiting = clock::now() + settle_at_most;
    while (drain_events() && clock::now() < give_up_waiting) {
      settle_timer_.expires_after(settle);
      auto [cancelled] = co_await settle_timer_.async_wait(no_throw);
      if (cancelled) co_return;
    }
    look();
  }
}

bool watcher::drain_events() {
  alignas(inotify_event) std::array<char, 4096> events;
  bool any = false;
  while (::read(inotify_.native_handle(), events.data(), events.size()) > 0) any = true;
  return any;
}

void watcher::look() {
  // A folder that was not there may be: what comes into it next is to be noticed.
  if (auto where = where_to_look(); where != watched_) {
    watched_ = std::move(where);
    follow();
  }
  std::string now = fingerprint();
  if (now == last_seen_) return;
  last_seen_ = std::move(now);
  on_change_();
}

std::string watcher::fingerprint() const {
  std::string seen;
  for (const fs::path& file : files_) append_stat(file, seen);
  for (const fs::path& folder : folders_) {
    std::vector<fs::path> inside;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (is_yaml(it->path())) inside.push_back(it->path());
    }
    std::ranges::sort(inside);
    for (const fs::path& file : inside) append_stat(file, seen);
  }
  return seen;
}

bool watcher::changed_since(std::chrono::system_clock::time_point when) const {
  // The kernel stamps files by a clock that ticks every few milliseconds.
  const auto limit = when - std::chrono::milliseconds(20);
  return std::ranges::any_of(files_, [&](const fs::path& file) {
    struct stat info{};
    if (::stat(file.c_str(), &info) != 0) return false;  // its coming back is an event
    const auto changed = std::chrono::system_clock::time_point(std::chrono::seconds(info.st_ctim.tv_sec) +
                                                               std::chrono::microseconds(info.st_ctim.tv_nsec / 1000));
    return changed >= limit;
  });
}

}  // namespace proxy
