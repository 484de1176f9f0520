#include "conf/text_file.hpp"

#include <cerrno>
#include <fstream>
#include <system_error>

namespace conf {

std::expected<std::string, std::string> read_text_file(const std::filesystem::path& file, std::size_t most_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (error) return std::unexpected(error.message());
  if (std::filesystem::is_directory(status)) return std::unexpected("it is a folder");
  if (!std::filesystem::is_regular_file(status)) return std::unexpected("it is not a regular file");
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::unexpected(errno != 0 ? std::generic_category().message(errno) : "it cannot be opened");
  std::string text;
  std::string chunk(std::size_t{64} << 10, '\0');
  while (stream) {
    stream.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    text.append(chunk, 0, static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most_bytes) {
      return std::unexpected("it is larger than " + std::to_string(most_bytes >> 20) + " MiB");
    }
  }
  if (stream.bad()) {
    return std::unexpected("reading it failed" + (errno != 0 ? ": " + std::generic_category().message(errno) : ""));
  }
  return text;
}

}  // namespace conf
