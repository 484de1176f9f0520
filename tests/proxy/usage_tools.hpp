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

#include "proxy/desk/tenant_ranking.hpp"
#include "proxy/desk/usage_line.hpp"
#include "tests/temporary_folder.hpp"

namespace tests {

class usage_folder : public temporary_folder {
 public:
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream in(path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Every line, read back; one that is none of the ledger's throws.
  [[nodiscard]] std::vector<proxy::desk::usage_line> lines(const std::string& name) const {
    std::vector<proxy::desk::usage_line> all;
    std::istringstream in(text(name));
    for (std::string line; std::getline(in, line);) all.push_back(proxy::desk::parse_usage_line(line).value());
    return all;
  }
};

inline proxy::desk::usage_counts counts(std::uint64_t transactions, std::uint64_t peak = 1) {
  return {.transactions = transactions, .bytes_in = 10 * transactions, .peak_clients = peak};
}

/// What a tenant has used so far, of busy time and statements alike.
inline proxy::desk::tenant_usage used(const std::string& tenant, std::uint64_t amount, std::uint32_t clients = 0) {
  proxy::desk::usage_counts so_far;
  so_far.busy = amount;
  so_far.statements = amount;
  return {tenant, so_far, clients};
}

inline proxy::desk::utc_time at(std::string_view text) { return proxy::desk::parse_time(text).value(); }

}  // namespace tests
