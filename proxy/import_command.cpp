// `pglodge import-pgbouncer`: reads the ini and what it names, and writes what conf/pgbouncer_import makes of it.
//
// Nothing that is there is overwritten, and nothing is left behind where not all could be written. A password file is
// its owner's alone from the moment it exists.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <expected>
#include <iostream>
#include <optional>
#include <system_error>
#include <vector>

#include "conf/load.hpp"
#include "conf/pgbouncer_import.hpp"
#include "conf/text_file.hpp"
#include "proxy/auth/users_file.hpp"
#include "proxy/command_line.hpp"
#include "proxy/commands.hpp"
#include "proxy/error_text.hpp"

namespace proxy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_ini_bytes = std::size_t{16} << 20;

void print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::cerr << line << '\n';
}

int failed(const std::vector<std::string>& errors) {
  print(errors);
  std::cerr << errors.size() << " error(s); nothing was written\n";
  return exit_failed;
}

// An error number, or none. What could not be written whole is not left there.
int write_new_file(const fs::path& file, std::string_view text, mode_t mode) {
  const int number = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (number < 0) return errno;
  int error = 0;
  while (error == 0 && !text.empty()) {
    const ssize_t n = ::write(number, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (::close(number) != 0 && error == 0) error = errno;
  if (error != 0) ::unlink(file.c_str());
  return error;
}

// All of them or none. The error says which could not be written, and why.
std::expected<void, std::string> write_files(const fs::path& folder, const std::vector<conf::imported_file>& files) {
  std::vector<fs::path> written;
  for (const conf::imported_file& one : files) {
    const fs::path file = folder / one.name;
    const int error = write_new_file(file, one.text, one.is_secret ? 0600 : 0644);
    if (error == 0) {
      written.push_back(file);
      continue;
    }
    std::error_code ignored;
    for (const fs::path& made : written) fs::remove(made, ignored);
    if (error == EEXIST) {
      return std::unexpected(file.native() + " exists already; move it away, or name another folder with -o");
    }
    if (error == ENOENT) {
      return std::unexpected("the folder " + folder.native() + " does not exist; make it, and give the command again");
    }
    return std::unexpected(file.native() + ": " + error_text(error));
  }
  return {};
}

// What is written must be good; what it names, the importer has not seen.
int look_at(const fs::path& daemon_file) {
  const conf::loaded loaded = conf::load(daemon_file);
  print(loaded.errors);
  if (!loaded.errors.empty()) return exit_failed;
  if (const fs::path& users = loaded.settings->auth.users; !users.empty()) {
    const users_reading reading = read_users_file(users);
    print(reading.errors);
    print(reading.warnings);
    if (!reading.errors.empty()) {
      std::cerr << users.native()
                << ": the lodge, which reads it more strictly than PgBouncer, will not start with it\n";
    }
  }
  return exit_done;
}

// The ini's surroundings on this machine.
class ini_folder {
 public:
  explicit ini_folder(const fs::path& ini) : folder_(fs::absolute(ini).parent_path()) {}

  [[nodiscard]] std::expected<std::string, std::string> read(const fs::path& file) const {
    return conf::read_text_file(folder_ / file, most_ini_bytes);
  }
  [[nodiscard]] conf::import_surroundings surroundings() {
    return {.folder = folder_,
            .read = [this](const fs::path& file) { return read(file); },
            .password_of = [this](const fs::path& users, std::string_view role) { return password_of(users, role); }};
  }

 private:
  std::optional<std::string> password_of(const fs::path& users, std::string_view role) {
    if (!users_) users_ = read_users_file(users);
    const pgwire::secret_string* password = users_->users ? users_->users->password(role) : nullptr;
    return password != nullptr ? std::optional(std::string(password->view())) : std::nullopt;
  }

  fs::path folder_;
  std::optional<users_reading> users_;  // there is one users file
};

}  // namespace

int import_pgbouncer(const fs::path& ini, const std::optional<fs::path>& folder) {
  ini_folder around(ini);
  const auto text = conf::read_text_file(ini, most_ini_bytes);
  if (!text) return failed({ini.native() + ": cannot be read: " + text.error()});
  const conf::ini_reading reading =
      conf::read_pgbouncer_ini(*text, ini.native(), [&](const std::string& name) { return around.read(name); });
  if (!reading.errors.empty()) return failed(reading.errors);
  const conf::imported made = conf::import_pgbouncer(reading.entries, around.surroundings());
  if (!made.errors.empty()) return failed(made.errors);

  if (!folder) {
    for (const conf::imported_file& one : made.files) {
      if (!one.is_secret) std::cout << "# --- " << one.name << '\n' << one.text << '\n';
    }
    print(made.remarks);
    for (const conf::imported_file& one : made.files) {
      if (one.is_secret) std::cerr << one.name << " is not shown: it holds a password; use -o to have it written\n";
    }
    return exit_done;
  }
  if (const auto written = write_files(*folder, made.files); !written) return failed({"pglodge: " + written.error()});
  print(made.remarks);
  const fs::path daemon_file = *folder / made.files.front().name;
  const int result = look_at(daemon_file);
  for (const conf::imported_file& one : made.files) std::cout << "wrote " << (*folder / one.name).native() << '\n';
  std::cout << "now look at both, and run: pglodge check -c " << daemon_file.native() << '\n';
  return result;
}

}  // namespace proxy
