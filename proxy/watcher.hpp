// Notices that configuration files changed, however they were changed.
//
// Editors write in place, or write a new file and rename it over the old one; Kubernetes swaps a symbolic link two
// levels up. So what is watched is not the files but every folder on the way to them in which a name could come to
// mean something else, and an event there only says "look": whether anything changed is decided by comparing what
// the names lead to now (device, inode, time, size) with what they led to before. Events are gathered for a moment
// first, so that a save of several steps is read once, when it is done.
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "proxy/io.hpp"

namespace proxy {

/// Every folder in which a change could alter what `file` leads to: its own, and that of each symbolic link on the
/// way. Instead of one that is not there, the nearest above it that is.
std::vector<std::filesystem::path> folders_on_the_way(const std::filesystem::path& file);

class watcher {
 public:
  /// Quiet for this long after the last event, and the files are looked at.
  static constexpr std::chrono::milliseconds settle{100};
  /// Looked at after this long even if events go on.
  static constexpr std::chrono::milliseconds settle_at_most{1000};

  /// Throws std::system_error where the kernel gives no inotify instance.
  watcher(asio::io_context& context, std::function<void()> on_change);

  /// Watches these files, and folders in which new *.yaml files count, from now on instead of the former ones.
  /// `read_at` is when they were read: what changed since is reported at once.
  void watch(std::vector<std::filesystem::path> files, std::vector<std::filesystem::path> folders,
             std::chrono::system_clock::time_point read_at);

  void close();

 private:
  using descriptor = asio::posix::basic_stream_descriptor<executor>;

  task<void> run();
  bool drain_events();
  void look();
  void follow();
  [[nodiscard]] std::vector<std::filesystem::path> where_to_look() const;
  [[nodiscard]] std::string fingerprint() const;
  [[nodiscard]] bool changed_since(std::chrono::system_clock::time_point when) const;

  descriptor inotify_;
  timer settle_timer_;
  std::function<void()> on_change_;
  std::vector<std::filesystem::path> files_;
  std::vector<std::filesystem::path> folders_;
  std::vector<std::filesystem::path> watched_;
  std::vector<int> watches_;
  std::string last_seen_;
  std::string reported_;
};

}  // namespace proxy
