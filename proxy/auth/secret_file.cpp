#include "proxy/auth/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "protocol/password_secret.hpp"
#include "proxy/error_text.hpp"
#include "proxy/owned_descriptor.hpp"

namespace proxy {
namespace {

std::unexpected<std::string> because_of(int error) { return std::unexpected(error_text(error)); }

std::optional<std::string> warning_for(const std::filesystem::path& file, mode_t mode) {
  if ((mode & S_IROTH) != 0) return file.native() + " holds secrets, and every user can read it; run chmod o= on it";
  if ((mode & (S_IWGRP | S_IWOTH)) != 0) {
    return file.native() + " holds secrets, and others than its owner can write it; run chmod g-w,o= on it";
  }
  return std::nullopt;
}

}  // namespace

std::expected<secret_file, std::string> read_secret_file(const std::filesystem::path& file, std::size_t most_bytes) {
  // Non-blocking, for opening a pipe would otherwise wait for its writer.
  const owned_descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.get() < 0) return because_of(errno);
  struct stat status{};
  if (::fstat(opened.get(), &status) != 0) return because_of(errno);
  if (S_ISDIR(status.st_mode)) return std::unexpected("it is a folder");
  if (!S_ISREG(status.st_mode)) return std::unexpected("it is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > most_bytes) return std::unexpected("it is larger than " + std::to_string(most_bytes) + " bytes");

  secret_file result{pgwire::secret_string(size), warning_for(file, status.st_mode)};
  std::size_t filled = 0;
  while (filled < size) {
    const auto rest = result.text.writable().subspan(filled);
    const ssize_t n = ::read(opened.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return because_of(errno);
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  // Somebody writes it at this moment; what was read could be half of it.
  char more = 0;
  if (filled < size || ::read(opened.get(), &more, 1) != 0) return std::unexpected("it changed while it was read");
  return result;
}

std::expected<secret_file, std::string> read_password_file(const std::filesystem::path& file) {
  constexpr std::size_t line_end = 2;
  auto read = read_secret_file(file, pgwire::most_password_bytes + line_end);
  if (!read) return read;
  std::string_view password = read->text.view();
  if (password.ends_with('\n')) password.remove_suffix(1);
  if (password.ends_with('\r')) password.remove_suffix(1);
  if (password.empty()) return std::unexpected("it holds no password");
  if (password.size() > pgwire::most_password_bytes) return std::unexpected("its password is too long");
  if (password.contains('\n')) return std::unexpected("it holds more than one line");
  if (password.contains('\0')) return std::unexpected("its password holds a zero byte");
  read->text = pgwire::secret_string(password);
  return read;
}

}  // namespace proxy
