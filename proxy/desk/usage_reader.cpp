#include "proxy/desk/usage_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "proxy/desk/ledger_files.hpp"
#include "proxy/error_text.hpp"

namespace proxy::desk {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_reports = 100;

class reader {
 public:
  reader(const usage_query& query, const std::function<void(const std::string&)>& report)
      : summer_(query), report_(report) {}

  // The error is a reason.
  std::expected<void, std::string> read(const fs::path& file) {
    errno = 0;
    std::ifstream in(file, std::ios::binary);
    for (std::size_t number = 1; in; ++number) {
      in.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
      if (in.bad()) break;
      const auto length = static_cast<std::size_t>(in.gcount());
      const auto say = [&](const std::string& why) { not_counted(file, number, why); };
      if (in.eof()) {
        if (length > 0) say("torn: the line has no end");
        return {};
      }
      if (in.fail()) {
        in.clear();
        in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
        say("foreign: it is too long");
        continue;
      }
      take({buffer_.data(), length - 1}, say);
    }
    return std::unexpected("cannot read " + file.native() + ": " + error_text(errno));
  }

  usage_sums finish() {
    if (left_out_ > 0) report_("and " + std::to_string(left_out_) + " more lines that do not count");
    return summer_.finish();
  }

 private:
  void take(std::string_view text, const auto& say) {
    auto line = parse_usage_line(text);
    if (!line) return say("foreign: " + line.error());
    if (!summer_.take(*std::move(line))) say("a copy: its interval stands further up");
  }

  void not_counted(const fs::path& file, std::size_t line, const std::string& why) {
    if (reports_ == most_reports) {
      ++left_out_;
      return;
    }
    ++reports_;
    report_(file.native() + ":" + std::to_string(line) + ": not counted, " + why);
  }

  usage_summer summer_;
  const std::function<void(const std::string&)>& report_;
  std::vector<char> buffer_ = std::vector<char>(longest_usage_line + 1);
  std::size_t reports_ = 0, left_out_ = 0;
};

}  // namespace

bool usage_summer::take(usage_line line) {
  if (query_.tenant && line.tenant != *query_.tenant) return true;
  if (line.run != run_ || line.interval != interval_) {
    if (line.run == run_ && line.interval < interval_) return false;
    const auto last = settled_.find(line.run);
    if (last != settled_.end() && line.interval <= last->second) return false;
    settle();
    run_ = line.run;
    interval_ = line.interval;
  }
  std::string tenant = line.tenant;
  lines_.insert_or_assign(std::move(tenant), std::move(line));
  return true;
}

usage_sums usage_summer::finish() {
  settle();
  return std::move(sums_);
}

void usage_summer::settle() {
  if (run_.empty()) return;
  for (const auto& [tenant, line] : lines_) {
    if (line.to >= query_.from && line.to < query_.to) sums_[tenant] += line.counts;
  }
  lines_.clear();
  settled_[std::exchange(run_, {})] = interval_;
}

std::expected<usage_sums, std::string> sum_usage(const fs::path& folder, const usage_query& query,
                                                 const std::function<void(const std::string&)>& report) {
  // A line is in the file of the day in which its interval ended.
  const auto first = std::chrono::floor<std::chrono::days>(query.from);
  const auto last = std::chrono::floor<std::chrono::days>(query.to - utc_time::duration(1));
  std::vector<std::pair<std::chrono::sys_days, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto day = ledger_file_day(it->path().filename().native());
    if (day && *day >= first && *day <= last) files.emplace_back(*day, it->path());
  }
  if (error) return std::unexpected("cannot read the folder " + folder.native() + ": " + error.message());
  std::ranges::sort(files);
  reader reading(query, report);
  for (const auto& [day, file] : files) {
    if (auto read = reading.read(file); !read) return std::unexpected(read.error());
  }
  return reading.finish();
}

}  // namespace proxy::desk
