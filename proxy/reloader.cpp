#include "proxy/reloader.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <iterator>
#include <utility>

#include "conf/load.hpp"
#include "proxy/error_text.hpp"
#include "routing/table_diff.hpp"

namespace proxy {
namespace {

constexpr std::chrono::seconds housekeeping_interval{1};

std::string joined(const auto& parts) {
  std::string all;
  for (const auto& part : parts) (all += all.empty() ? "" : ", ") += part;
  return all;
}

bool read_alike(const user_table* was, const user_table* now) {
  return was == nullptr || now == nullptr ? was == now : was->reads_like(*now);
}

std::vector<std::filesystem::path> both(std::vector<std::filesystem::path> some,
                                        std::vector<std::filesystem::path> others) {
  std::ranges::move(others, std::back_inserter(some));
  std::ranges::sort(some);
  const auto again = std::ranges::unique(some);
  some.erase(again.begin(), again.end());
  return some;
}

// By the words of the system: whoever reads files, TLS or ourselves, tells its errors by them.
bool is_of_the_moment(const std::string& error) {
  static const std::array words{error_text(EMFILE), error_text(ENFILE), error_text(ENOMEM), error_text(EIO),
                                error_text(EINTR)};
  return std::ranges::any_of(words, [&](const std::string& one) { return error.contains(one); });
}

// What takes long to read is repeated less often.
clock::duration pause_after(clock::duration reading) {
  return std::max<clock::duration>(std::chrono::seconds(1), reading * 10);
}

}  // namespace

struct reloader::outcome {
  reading read;
  std::vector<std::string> changes;
  std::string reason;
  std::vector<judged> waiting;
  moment read_at;
  why cause;
};

std::chrono::system_clock::time_point reloader::moment::at_the_earliest() const {
  const auto since = std::chrono::duration_cast<std::chrono::system_clock::duration>(clock::now() - steady);
  return std::min(wall, std::chrono::system_clock::now() - since);
}

reloader::reloader(asio::io_context& main, auth_tools& tools, std::filesystem::path file, publisher publish)
    : main_(main),
      tools_(tools),
      file_(std::move(file)),
      publish_(std::move(publish)),
      watcher_(main, [this] { request("a file changed"); }),
      housekeeping_(main) {}

// Both files and what they name. Without errors everything is there.
reloader::reading reloader::read() const {
  conf::loaded loaded = conf::load(file_);
  reading all{std::move(loaded.settings), std::move(loaded.routes),   nullptr,
              std::move(loaded.errors),   std::move(loaded.warnings), std::move(loaded.files),
              std::move(loaded.folders)};
  if (!all.errors.empty()) return all;
  loaded_credentials more = load_credentials(tools_, *all.settings, *all.routes);
  all.secrets = std::move(more.secrets);
  std::ranges::move(more.errors, std::back_inserter(all.errors));
  std::ranges::move(more.warnings, std::back_inserter(all.warnings));
  std::ranges::move(more.files, std::back_inserter(all.files));
  return all;
}

// In words for the log: of the routes, then of the settings and of who may come in.
std::vector<std::string> reloader::changes(const snapshot& was, const reading& now) const {
  std::vector<std::string> all = routing::diff(*was.routes, *now.routes);
  const auto keys = conf::changed_keys(*was.settings, *now.settings);
  if (!keys.empty()) all.push_back(file_.filename().native() + ": " + joined(keys) + " changed");
  if (!read_alike(was.secrets->clients->users(), now.secrets->clients->users())) {
    all.emplace_back("the users file changed");
  }
  return all;
}

snapshot_ptr reloader::load_first(routing::overrides_ptr overrides) {
  read_at_ = {};
  reading all = read();
  for (const auto& error : all.errors) spdlog::error("{}", error);
  if (!all.errors.empty()) return nullptr;
  for (const auto& warning : all.warnings) spdlog::warn("{}", warning);
  files_ = std::move(all.files);
  folders_ = std::move(all.folders);
  current_ = std::make_shared<snapshot>(
      snapshot{1, std::move(all.settings), std::move(all.routes), std::move(all.secrets), std::move(overrides)});
  last_ = {read_at_.wall, "start", {}, {}, current_->version};
  return current_;
}

void reloader::start_watching() {
  watcher_.watch(files_, folders_, read_at_.at_the_earliest(), true);
  asio::co_spawn(main_, keep_house(), asio::detached);
}

void reloader::request(std::string reason) {
  if (closed_) return;
  pending_reason_ = std::move(reason);
  if (!running_) begin(why::asked);
}

void reloader::request(std::string reason, judged then) {
  if (closed_) return;
  pending_.push_back(std::move(then));
  request(std::move(reason));
}

void reloader::lay_over(routing::overrides_ptr overrides) {
  auto next = std::make_shared<snapshot>(*current_);
  ++next->version;
  next->overrides = std::move(overrides);
  retire(std::exchange(current_, next));
  publish_(current_);
}

void reloader::begin(why cause) {
  running_ = true;
  again_at_ = clock::time_point::max();
  watcher_.begin_reading();
  if (on_begin_ && cause == why::asked) on_begin_();
  auto result = std::make_shared<outcome>();
  result->cause = cause;
  result->reason = std::exchange(pending_reason_, {});
  result->waiting = std::exchange(pending_, {});
  auto work = [this, old = current_, result = std::move(result)]() mutable {
    result->read_at = {};
    result->read = read();
    if (result->read.errors.empty()) result->changes = changes(*old, result->read);
    old.reset();
    asio::post(main_, [this, result = std::move(result)] { finish(result); });
  };
  asio::post(thread_, std::move(work));
}

void reloader::finish(const std::shared_ptr<outcome>& result) {
  running_ = false;
  if (closed_) return;
  reading& loaded = result->read;
  const bool is_news = result->cause == why::asked || loaded.errors != last_.errors;
  if (!loaded.errors.empty()) {
    refuse(*result, is_news);
  } else {
    for (const auto& warning : loaded.warnings) spdlog::warn("{}", warning);
    files_ = std::exchange(loaded.files, {});
    folders_ = std::exchange(loaded.folders, {});
    auto next =
        std::make_shared<snapshot>(snapshot{current_->version + 1, std::move(loaded.settings), std::move(loaded.routes),
                                            std::move(loaded.secrets), current_->overrides});
    spdlog::info("reloaded ({}), version {}: {}", result->reason, next->version,
                 result->changes.empty() ? "no change of routes" : joined(result->changes));
    retire(std::exchange(current_, next));
    publish_(next);
  }
  if (is_news) {
    last_ = {result->read_at.wall, result->reason, loaded.errors, result->changes, current_->version};
    for (const judged& listener : listeners_) listener(last_);
  }
  for (const judged& then : result->waiting) then(last_);
  // After a refusal, what it was about as well: that is where it will be mended.
  watcher_.watch(both(files_, std::move(loaded.files)), both(folders_, std::move(loaded.folders)),
                 result->read_at.at_the_earliest(), last_.errors.empty());
  if (!pending_reason_.empty() && !running_) begin(why::asked);
}

void reloader::refuse(const outcome& result, bool is_news) {
  const auto& errors = result.read.errors;
  const bool is_passing = std::ranges::any_of(errors, is_of_the_moment);
  if (is_passing) again_at_ = clock::now() + pause_after(clock::now() - result.read_at.steady);
  if (!is_news) return;
  for (const auto& error : errors) spdlog::error("{}", error);
  spdlog::error("reload ({}) refused, {} error(s): the configuration in force stays as it was{}", result.reason,
                errors.size(), is_passing ? "; it is tried again until the files can be read" : "");
}

void reloader::retire(snapshot_ptr old) { retired_.push_back(std::move(old)); }

task<void> reloader::keep_house() {
  while (!closed_) {
    housekeeping_.expires_after(housekeeping_interval);
    auto [error] = co_await housekeeping_.async_wait(no_throw);
    if (error) co_return;
    current_->secrets->clients->close_idle(clock::now());
    bury();
    watcher_.try_again();
    if (clock::now() < again_at_ || running_) continue;
    pending_reason_ = "files could not be read before";
    begin(why::repeated);
  }
}

void reloader::bury() {
  // Only this list still has it: whoever could copy it is this thread, so the count cannot rise again.
  const auto dead = std::ranges::partition(retired_, [](const auto& kept) { return kept.use_count() > 1; });
  for (snapshot_ptr& old : dead) {
    auto destroy = [last = std::move(old)]() mutable { last.reset(); };
    asio::post(thread_, std::move(destroy));
  }
  retired_.erase(dead.begin(), dead.end());
}

void reloader::close() {
  closed_ = true;
  watcher_.close();
  housekeeping_.cancel();
  thread_.join();
}

}  // namespace proxy
