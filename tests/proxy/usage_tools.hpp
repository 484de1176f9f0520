// What the tests of the usage ledger share: a folder of their own, and counts that are easy to tell apart.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/desk/usage_line.hpp"

namespace tests {

class usage_folder {
 public:
  usage_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "pglodge-usage-XXXXXX").native();
    path_ = ::mkdtemp(name.data());
  }
  ~usage_folder() { std::filesystem::remove_all(path_); }
  usage_folder(const usage_folder&) = delete;
  usage_folder& operator=(const usage_folder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Every line, read back; one that is none of the ledger's throws.
  [[nodiscard]] std::vector<proxy::desk::usage_line> lines(const std::string& name) const {
    std::vector<proxy::desk::usage_line> all;
    std::istringstream in(text(name));
    for (std::string line; std::getline(in, line);) all.push_back(proxy::desk::parse_usage_line(line).value());
    return all;
  }

 private:
  std::filesystem::path path_;
};

inline proxy::desk::usage_counts counts(std::uint64_t transactions, std::uint64_t peak = 1) {
  return {.transactions = transactions, .bytes_in = 10 * transactions, .peak_clients = peak};
}

inline proxy::desk::utc_time at(std::string_view text) { return proxy::desk::parse_time(text).value(); }

}  // namespace tests
