// Notices that configuration files changed, however they were changed.
//
// Editors write in place, or write a new file and rename it over the old one; Kubernetes swaps a symbolic link two
// levels up. So what is watched is not the files but every folder on the way to them in which a name could come to
// mean something else, and an event there only says "look": whether anything changed is decided by comparing what
// the names lead to now (device, inode, time, size) with what they led to before. Events are gathered for a moment
// first, so that a save of several steps is read once, when it is done.
//
// A write in place is over when the file is closed, of which an event tells; what happens beside it meanwhile does not
// make it whole. So a file that was modified a moment ago, and not closed since, is left to its writer for a while.
//
// What is compared with was seen before the files were read: what comes while they are read is a change, too.
#pragma once

#include <sys/types.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
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
  /// A file that is not closed is taken for whole when it was not modified for this long,
  static constexpr std::chrono::milliseconds writers_pause{1000};
  /// and whatever is written, all is looked at after this long.
  static constexpr std::chrono::milliseconds written_at_most{10000};

  watcher(asio::io_context& context, std::function<void()> on_change);

  /// Watches these files, and folders in which new *.yaml files count, from now on instead of the former ones.
  /// `read_at` is when they began to be read, `all_were_there` that none was missing then: what changed since is
  /// reported soon.
  void watch(std::vector<std::filesystem::path> files, std::vector<std::filesystem::path> folders,
             std::chrono::system_clock::time_point read_at, bool all_were_there);
  /// To be called before they are read again, and then `watch` when they were.
  void begin_reading();
  /// Where the kernel gave no inotify instance nothing is noticed, which is logged; asks for one again.
  void try_again();

  void close();

 private:
  using descriptor = asio::posix::basic_stream_descriptor<executor>;
  using file_time = std::chrono::system_clock::time_point;

  // What a name leads to. One that leads nowhere has the mode 0.
  struct seen_file {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
    mode_t mode = 0;
    off_t size = 0;
    file_time modified, changed;
    // Not by when it was changed: that is also when another name was given to it.
    friend bool operator==(const seen_file& a, const seen_file& b) {
      return a.path == b.path && a.device == b.device && a.inode == b.inode && a.mode == b.mode && a.size == b.size &&
             a.modified == b.modified;
    }
  };
  using sight = std::vector<seen_file>;  // by path

  bool open();
  task<void> run();
  bool drain_events();
  void note(std::uint32_t event, std::string_view name);
  bool look(clock::duration waited);
  [[nodiscard]] bool is_being_written(const seen_file& file) const;
  void look_soon();
  void follow();
  [[nodiscard]] std::vector<std::filesystem::path> where_to_look() const;
  [[nodiscard]] sight see() const;
  static seen_file see(const std::filesystem::path& file);
  static bool changed_since(const sight& files, file_time when, bool all_were_there);

  descriptor inotify_;
  timer settle_timer_;
  std::function<void()> on_change_;
  std::vector<std::filesystem::path> files_;
  std::vector<std::filesystem::path> folders_;
  std::vector<std::filesystem::path> watched_;
  std::vector<int> watches_;
  sight last_seen_;
  sight reported_;
  std::unordered_map<std::string, file_time> closed_;  ///< by name in whatever folder, since the last look
  bool owed_ = false;                                  ///< a report, whatever the next look sees
};

}  // namespace proxy
