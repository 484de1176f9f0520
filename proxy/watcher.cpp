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
#include <cstring>
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

std::chrono::system_clock::time_point time_of(const timespec& stamp) {
  return std::chrono::system_clock::time_point(std::chrono::seconds(stamp.tv_sec) +
                                               std::chrono::nanoseconds(stamp.tv_nsec));
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
    : inotify_(context), settle_timer_(context), on_change_(std::move(on_change)) {}

// False with an errno.
bool watcher::open() {
  if (inotify_.is_open()) return true;
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return false;
  inotify_.assign(fd);
  asio::co_spawn(settle_timer_.get_executor(), run(), asio::detached);
  return true;
}

void watcher::try_again() {
  if (inotify_.is_open() || !open()) return;
  spdlog::info("changes of files are noticed from now on");
  follow();
  if (see() != last_seen_) look_soon();
}

void watcher::watch(std::vector<fs::path> files, std::vector<fs::path> folders, file_time read_at,
                    bool all_were_there) {
  const bool changed_meanwhile = see() != last_seen_;  // of what was known before the reading
  files_ = std::move(files);
  folders_ = std::move(folders);
  watched_ = where_to_look();
  if (open()) {
    follow();
  } else {
    spdlog::warn(
        "cannot watch files: inotify: {}; changes of files are not noticed until fs.inotify.max_user_instances or the "
        "limit of descriptors allows it, SIGHUP still reloads",
        error_text(errno));
  }
  sight now = see();
  // By the times of what became known only by the reading. Reported once per sight: a file whose time lies in the
  // future would otherwise be read again for ever.
  if (changed_meanwhile || (changed_since(now, read_at, all_were_there) && now != reported_)) {
    reported_ = std::move(now);
    look_soon();
  } else {
    last_seen_ = std::move(now);
  }
}

void watcher::begin_reading() {
  last_seen_ = see();
  owed_ = false;
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
  owed_ = false;
  inotify_.close(ignored);
  settle_timer_.cancel();
}

task<void> watcher::run() {
  while (inotify_.is_open()) {
    if (!owed_) {
      auto [failed] = co_await inotify_.async_wait(descriptor::wait_read, no_throw);
      if (failed && !owed_) co_return;
    }
    const auto began = clock::now();
    drain_events();
    do {
      settle_timer_.expires_after(settle);
      auto [cancelled] = co_await settle_timer_.async_wait(no_throw);
      if (cancelled) co_return;
    } while ((drain_events() && clock::now() - began < settle_at_most) || !look(clock::now() - began));
  }
}

bool watcher::drain_events() {
  std::array<char, 4096> events;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  bool any = false;
  for (;;) {
    const ssize_t size = ::read(inotify_.native_handle(), events.data(), events.size());
    if (size <= 0) return any;
    any = true;
    std::string_view rest(events.data(), static_cast<std::size_t>(size));
    while (rest.size() >= sizeof(inotify_event)) {
      inotify_event event{};
      std::memcpy(&event, rest.data(), sizeof event);
      rest.remove_prefix(sizeof event);
      const std::string_view padded = rest.substr(0, event.len);
      note(event.mask, padded.substr(0, padded.find('\0')));
      rest.remove_prefix(padded.size());
    }
  }
}

void watcher::note(std::uint32_t event, std::string_view name) {
  if ((event & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) closed_[std::string(name)] = std::chrono::system_clock::now();
  if ((event & IN_CREATE) != 0) closed_[std::string(name)] = file_time::min();
}

// False: something is being written, look again.
bool watcher::look(clock::duration waited) {
  // A folder that was not there may be: what comes into it next is to be noticed.
  if (auto where = where_to_look(); where != watched_) {
    watched_ = std::move(where);
    follow();
  }
  sight now = see();
  if (waited < written_at_most && std::ranges::any_of(now, [&](const auto& file) { return is_being_written(file); })) {
    return false;
  }
  closed_.clear();
  if (!std::exchange(owed_, false) && now == last_seen_) return true;
  last_seen_ = std::move(now);
  on_change_();
  return true;
}

bool watcher::is_being_written(const seen_file& file) const {
  if (!S_ISREG(file.mode)) return false;
  const auto before = std::ranges::lower_bound(last_seen_, file.path, {}, &seen_file::path);
  const bool is_known = before != last_seen_.end() && before->path == file.path;
  if (is_known && *before == file) return false;
  const auto age = std::chrono::system_clock::now() - file.modified;
  if (age < age.zero() || age > writers_pause) return false;
  std::error_code error;
  const auto closed = closed_.find(fs::canonical(file.path, error).filename().native());
  if (closed != closed_.end()) return closed->second < file.modified;
  // Nothing was told of it. Another file by that name came whole, by a link or a folder that was swapped.
  return is_known && before->device == file.device && before->inode == file.inode;
}

void watcher::look_soon() {
  if (!inotify_.is_open()) return on_change_();
  owed_ = true;
  error_code ignored;
  inotify_.cancel(ignored);
}

watcher::seen_file watcher::see(const fs::path& file) {
  struct stat info{};
  seen_file seen{.path = file.native()};
  if (::stat(file.c_str(), &info) != 0) return seen;
  seen.device = info.st_dev;
  seen.inode = info.st_ino;
  seen.mode = info.st_mode;
  seen.size = info.st_size;
  seen.modified = time_of(info.st_mtim);
  seen.changed = time_of(info.st_ctim);
  return seen;
}

watcher::sight watcher::see() const {
  std::vector<fs::path> all = files_;
  for (const fs::path& folder : folders_) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (is_yaml(it->path())) all.push_back(it->path());
    }
  }
  sight seen;
  seen.reserve(all.size());
  for (const fs::path& file : all) seen.push_back(see(file));
  std::ranges::sort(seen, {}, &seen_file::path);
  const auto again = std::ranges::unique(seen, {}, &seen_file::path);
  seen.erase(again.begin(), again.end());
  return seen;
}

bool watcher::changed_since(const sight& files, file_time when, bool all_were_there) {
  // The kernel stamps files by a clock that ticks every few milliseconds.
  const auto limit = when - std::chrono::milliseconds(20);
  return std::ranges::any_of(
      files, [&](const seen_file& file) { return file.mode == 0 ? all_were_there : file.changed >= limit; });
}

}  // namespace proxy
