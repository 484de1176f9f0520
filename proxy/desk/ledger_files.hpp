// The usage ledger's files: one a day, usage-2026-11-24.jsonl, of whole lines that are only ever appended.
//
// What must hold: every file is whole lines, whatever happened. A batch that could not be written and synced is cut off
// again, and until that has succeeded nothing else is written anywhere; so whoever was told of a failure may write the
// same again. A torn line that a crash left behind is cut off when its file is next opened. Two processes that write
// into one folder, as around an upgrade, take turns: whoever writes holds a lock on usage.lock there, and keeps it
// while something of his must still be cut off.
//
// Not thread-safe; everything here may block for as long as the disk does.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/owned_descriptor.hpp"

namespace proxy::desk {

/// "usage-2026-11-24.jsonl"
std::string ledger_file_name(std::chrono::sys_days day);
/// The day of a file of that name; nothing for any other.
std::optional<std::chrono::sys_days> ledger_file_day(std::string_view name);

class ledger_files {
 public:
  /// What is wrong, with the path and the system's reason.
  using result = std::expected<void, std::string>;

  /// `keep_days`: the newest so many files stay when a new day's is begun; 0: all. The count is of files, not of time:
  /// a clock that is wrong by years must not delete the ledger. `tell` is given what an operator should know though it
  /// is no failure.
  ledger_files(std::filesystem::path folder, unsigned keep_days, std::function<void(const std::string&)> tell);

  /// Opens that day's file, made with mode 0640, so that trouble shows before there is anything to
  /// write.
  result open(std::chrono::sys_days day);
  /// Appends whole lines to that day's file and syncs them. After an error none of them is in force.
  result append(std::chrono::sys_days day, std::string_view lines);

 private:
  result prepare(std::chrono::sys_days day);
  result write(std::string_view lines);
  result lock();
  void let_others();
  result open_file(const std::filesystem::path& path);
  result cut_torn_line();
  void delete_old();

  std::filesystem::path folder_;
  unsigned keep_days_;
  std::function<void(const std::string&)> tell_;
  owned_descriptor lock_, file_;
  std::filesystem::path path_;        ///< of file_
  std::optional<off_t> failed_from_;  ///< where in file_ the batch begins that is still to be cut off
};

}  // namespace proxy::desk
