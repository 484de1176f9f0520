#include "proxy/desk/ledger_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <vector>

#include "proxy/desk/utc_time.hpp"
#include "proxy/error_text.hpp"

namespace proxy::desk {

namespace fs = std::filesystem;

namespace {

constexpr mode_t file_mode = 0640;
// A batch and its sync take no longer, or the disk is in trouble; then the interval goes on.
constexpr std::chrono::milliseconds lock_interval{10};
constexpr int most_lock_attempts = 300;

constexpr std::string_view name_start = "usage-", name_end = ".jsonl";

std::unexpected<std::string> failed(std::string_view what, const fs::path& path, int error = errno) {
  return std::unexpected("cannot " + std::string(what) + " " + path.native() + ": " + error_text(error));
}

owned_descriptor open_path(const fs::path& path, int flags) {
  return owned_descriptor(::open(path.c_str(), flags | O_CLOEXEC, file_mode));
}

// Whether that name still leads to this file: folders are moved away, files deleted, disks mounted over.
bool is_still(const owned_descriptor& file, const fs::path& path) {
  struct stat ours{}, there{};
  return file.is_open() && ::fstat(file.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

// 0, or the error.
int write_all(const owned_descriptor& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

// Where the last whole line ends, of a file of that size; nothing if it cannot be read.
std::optional<off_t> end_of_lines(const owned_descriptor& file, off_t size) {
  std::array<char, 4096> block{};
  while (size > 0) {
    const off_t start = std::max<off_t>(0, size - static_cast<off_t>(block.size()));
    const auto length = static_cast<std::size_t>(size - start);
    if (::pread(file.get(), block.data(), length, start) != static_cast<ssize_t>(length)) return std::nullopt;
    const auto last = std::string_view(block.data(), length).rfind('\n');
    if (last != std::string_view::npos) return start + static_cast<off_t>(last) + 1;
    size = start;
  }
  return 0;
}

}  // namespace

std::string ledger_file_name(std::chrono::sys_days day) {
  return std::string(name_start) + to_date(day) + std::string(name_end);
}

std::optional<std::chrono::sys_days> ledger_file_day(std::string_view name) {
  if (!name.starts_with(name_start) || !name.ends_with(name_end)) return std::nullopt;
  name.remove_prefix(name_start.size());
  if (name.size() < name_end.size()) return std::nullopt;
  name.remove_suffix(name_end.size());
  return parse_date(name);
}

ledger_files::ledger_files(fs::path folder, unsigned keep_days, std::function<void(const std::string&)> tell)
    : folder_(std::move(folder)), keep_days_(keep_days), tell_(std::move(tell)) {}

ledger_files::result ledger_files::open(std::chrono::sys_days day) {
  auto prepared = prepare(day);
  let_others();
  return prepared;
}

ledger_files::result ledger_files::append(std::chrono::sys_days day, std::string_view lines) {
  auto done = prepare(day);
  if (done) done = write(lines);
  let_others();
  return done;
}

ledger_files::result ledger_files::prepare(std::chrono::sys_days day) {
  // Whether or not it is for that day: elsewhere the same lines would stand a second time.
  if (failed_from_ && is_still(file_, path_)) {
    if (::ftruncate(file_.get(), *failed_from_) != 0) return failed("cut a failed write off", path_);
  }
  failed_from_.reset();
  if (auto locked = lock(); !locked) return locked;
  const fs::path path = folder_ / ledger_file_name(day);
  if (path != path_ || !is_still(file_, path)) return open_file(path);
  // Another process may have been killed in the middle of a line since.
  return cut_torn_line();
}

ledger_files::result ledger_files::write(std::string_view lines) {
  struct stat before{};
  if (::fstat(file_.get(), &before) != 0) return failed("read the size of", path_);
  const int write_error = write_all(file_, lines);
  // What a failed sync leaves in the kernel's cache is unknown, so such lines are written anew like any others.
  const int error = write_error != 0 ? write_error : ::fdatasync(file_.get()) != 0 ? errno : 0;
  if (error == 0) return {};
  if (::ftruncate(file_.get(), before.st_size) != 0) failed_from_ = before.st_size;
  return failed(write_error != 0 ? "write to" : "sync", path_, error);
}

ledger_files::result ledger_files::lock() {
  const fs::path path = folder_ / "usage.lock";
  if (!is_still(lock_, path)) lock_ = open_path(path, O_RDWR | O_CREAT);
  if (!lock_.is_open()) {
    return std::unexpected(failed("open", path).error() +
                           "; usage.ledger must name a folder into which pglodge may write");
  }
  // Bounded, because this thread is waited for when the daemon leaves.
  for (int i = 0; ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK) return failed("lock", path);
    if (i == most_lock_attempts) return std::unexpected("another pglodge has been writing into " + folder_.native());
    std::this_thread::sleep_for(lock_interval);
  }
  return {};
}

void ledger_files::let_others() {
  if (lock_.is_open() && !failed_from_) ::flock(lock_.get(), LOCK_UN);
}

ledger_files::result ledger_files::open_file(const fs::path& path) {
  file_ = open_path(path, O_RDWR | O_APPEND | O_CREAT);
  path_ = path;
  if (!file_.is_open()) return failed("open", path);
  if (auto cut = cut_torn_line(); !cut) {
    file_ = owned_descriptor();
    return cut;
  }
  // A new file is safe when its folder knows it.
  const owned_descriptor folder = open_path(folder_, O_RDONLY | O_DIRECTORY);
  if (!folder.is_open() || ::fsync(folder.get()) != 0) {
    auto error = failed("sync", folder_);
    file_ = owned_descriptor();
    return error;
  }
  if (keep_days_ > 0) delete_old();
  return {};
}

ledger_files::result ledger_files::cut_torn_line() {
  struct stat now{};
  if (::fstat(file_.get(), &now) != 0) return failed("read the size of", path_);
  const auto whole = end_of_lines(file_, now.st_size);
  if (!whole) return failed("read", path_);
  if (*whole == now.st_size) return {};
  if (::ftruncate(file_.get(), *whole) != 0) return failed("cut a torn line off", path_);
  tell_(path_.native() + " ended within a line, as after a crash; its last " + std::to_string(now.st_size - *whole) +
        " bytes were cut off");
  return {};
}

void ledger_files::delete_old() {
  std::vector<std::chrono::sys_days> known;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (const auto day = ledger_file_day(it->path().filename().native())) known.push_back(*day);
  }
  std::ranges::sort(known, std::ranges::greater());
  for (std::size_t i = keep_days_; i < known.size(); ++i) {
    const fs::path path = folder_ / ledger_file_name(known[i]);
    if (path == path_) continue;
    if (!fs::remove(path, error) && error) tell_("cannot delete " + path.native() + ": " + error.message());
  }
}

}  // namespace proxy::desk
