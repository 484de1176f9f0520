#include "proxy/reloader.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "conf/load.hpp"
#include "routing/table_diff.hpp"

namespace proxy {
namespace {

constexpr std::chrono::seconds funeral_interval{1};

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ", ") + part;
  return all;
}

}  // namespace

struct reloader::outcome {
  conf::loaded loaded;
  std::vector<std::string> changes;
  std::string reason;
  std::chrono::system_clock::time_point read_at;
};

reloader::reloader(asio::io_context& main, std::filesystem::path file, publisher publish)
    : main_(main),
      file_(std::move(file)),
      publish_(std::move(publish)),
      watcher_(main, [this] { request("a file changed"); }),
      funeral_(main) {}

snapshot_ptr reloader::load_first() {
  read_at_ = std::chrono::system_clock::now();
  conf::loaded loaded = conf::load(file_);
  for (const auto& error : loaded.errors) spdlog::error("{}", error);
  if (!loaded.errors.empty()) return nullptr;
  for (const auto& warning : loaded.warnings) spdlog::warn("{}", warning);
  files_ = std::move(loaded.files);
  folders_ = std::move(loaded.folders);
  current_ = std::make_shared<snapshot>(snapshot{1, std::move(loaded.settings), std::move(loaded.routes)});
  return current_;
}

void reloader::start_watching() {
  watcher_.watch(files_, folders_, read_at_);
  asio::co_spawn(main_, bury(), asio::detached);
}

void reloader::request(std::string reason) {
  if (closed_) return;
  pending_reason_ = std::move(reason);
  if (!running_) begin();
}

void reloader::begin() {
  running_ = true;
  auto work = [this, old = current_, reason = std::exchange(pending_reason_, {})]() mutable {
    auto result = std::make_shared<outcome>();
    result->reason = std::move(reason);
    result->read_at = std::chrono::system_clock::now();
    result->loaded = conf::load(file_);
    if (result->loaded.errors.empty()) result->changes = routing::diff(*old->routes, *result->loaded.routes);
    old.reset();
    asio::post(main_, [this, result = std::move(result)]() mutable { finish(std::move(result)); });
  };
  asio::post(thread_, std::move(work));
}

void reloader::finish(std::shared_ptr<outcome> result) {
  running_ = false;
  if (closed_) return;
  conf::loaded& loaded = result->loaded;
  if (!loaded.errors.empty()) {
    for (const auto& error : loaded.errors) spdlog::error("{}", error);
    spdlog::error("reload ({}) refused, {} error(s): the configuration in force stays as it was", result->reason,
                  loaded.errors.size());
  } else {
    for (const auto& warning : loaded.warnings) spdlog::warn("{}", warning);
    files_ = std::move(loaded.files);
    folders_ = std::move(loaded.folders);
    auto next = std::make_shared<snapshot>(
        snapshot{current_->version + 1, std::move(loaded.settings), std::move(loaded.routes)});
    spdlog::info("reloaded ({}), version {}: {}", result->reason, next->version,
                 result->changes.empty() ? "no change of routes" : joined(result->changes));
    retire(std::exchange(current_, next));
    publish_(std::move(next));
  }
  watcher_.watch(files_, folders_, result->read_at);
  if (!pending_reason_.empty() && !running_) begin();
}

void reloader::retire(snapshot_ptr old) { retired_.push_back(std::move(old)); }

task<void> reloader::bury() {
  while (!closed_) {
    funeral_.expires_after(funeral_interval);
    auto [error] = co_await funeral_.async_wait(no_throw);
    if (error) co_return;
    // Only this list still has it: whoever could copy it is this thread, so the count cannot rise again.
    const auto dead = std::ranges::partition(retired_, [](const auto& kept) { return kept.use_count() > 1; });
    for (snapshot_ptr& old : dead) {
      auto destroy = [last = std::move(old)]() mutable { last.reset(); };
      asio::post(thread_, std::move(destroy));
    }
    retired_.erase(dead.begin(), dead.end());
  }
}

void reloader::close() {
  closed_ = true;
  watcher_.close();
  funeral_.cancel();
  thread_.join();
}

}  // namespace proxy
