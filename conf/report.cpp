#include "conf/report.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace conf {
namespace {

std::string joined(const std::set<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ", ") + part;
  return all;
}

}  // namespace

void report::begin_file(const std::string& file) { order_of(file); }

std::size_t report::order_of(const std::string& file) { return files_.try_emplace(file, files_.size()).first->second; }

void report::error(const std::string& file, position at, std::string_view path, std::string_view what) {
  if (errors_.size() == most_errors) {
    ++left_out_;
    return;
  }
  errors_.push_back({order_of(file), at, file, std::string(path), std::string(what)});
}

void report::warning(const std::string& file, position at, std::string_view path, std::string_view what) {
  told_.push_back(line_of({0, at, file, std::string(path), std::string(what)}));
}

std::string report::line_of(const entry& one) {
  return one.file + ":" + std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + ": " +
         (one.path.empty() ? "" : one.path + ": ") + one.what;
}

std::vector<std::string> report::errors() const {
  std::vector<std::size_t> sorted(errors_.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  std::ranges::sort(sorted, {}, [&](std::size_t i) { return std::tuple(errors_[i].order, errors_[i].at, i); });
  std::vector<std::string> lines;
  lines.reserve(sorted.size() + 1);
  for (const std::size_t i : sorted) lines.push_back(line_of(errors_[i]));
  if (left_out_ > 0) lines.push_back("and " + std::to_string(left_out_) + " more errors; mend these first");
  return lines;
}

std::vector<std::string> report::warnings() const {
  std::string line;
  if (!without_effect_.empty()) {
    line = "not yet in force, accepted and without effect: " + joined(without_effect_);
  }
  if (!refuses_sessions_.empty()) {
    line +=
        (line.empty() ? "" : "; ") + ("not yet in force, so that sessions are refused: " + joined(refuses_sessions_));
  }
  std::vector<std::string> lines = told_;
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace conf
