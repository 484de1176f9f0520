#include "proxy/service/succession.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "proxy/random.hpp"

namespace proxy {
namespace {

// A new version must serve within this time, or the old one goes on.
constexpr std::chrono::seconds most_starting{60};

}  // namespace

task<std::expected<void, std::string>> succession::run(testament will, std::vector<int> sockets,
                                                       std::function<void(pid_t)> made) {
  begun_ = true;
  if (open_cancel_door()) {
    will.cancel_doors.push_back(cancel_door_->name().substr(1));
  } else {
    spdlog::warn("cancel requests to sessions of this process will not be heard");
  }
  auto started = successor::start(main_, command_, sockets, will);
  std::expected<void, std::string> served = std::unexpected(started ? "" : started.error());
  if (started) {
    awaited_ = &*started;
    served = co_await started->serves(most_starting);
    awaited_ = nullptr;
  }
  if (!served) {
    cancel_door_.reset();
    begun_ = false;
    co_return served;
  }
  made(started->process_id());
  started->may_speak();
  co_return served;
}

void succession::give_up() {
  if (awaited_ != nullptr) awaited_->give_up();
}

// Its name is random, so that each process has one of its own.
bool succession::open_cancel_door() {
  auto socket = listen_abstract("pglodge-cancel-" + random_nonce());
  if (!socket) return false;
  const conf::listen_settings nowhere;
  cancel_door_ = std::make_unique<listener>(main_, std::move(*socket), nowhere, [this](visitor who) {
    who.cancels_only = true;
    visit_(std::move(who));
  });
  cancel_door_->start();
  return true;
}

}  // namespace proxy
