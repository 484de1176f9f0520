#include "proxy/session/neighbour_lodges.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <utility>

#include "conf/names.hpp"
#include "proxy/credentials.hpp"
#include "proxy/listening_sockets.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// Keys of ours have secrets of 4 or 32 bytes, so none of them can end like this.
constexpr std::string_view mark = "pglodge, passed\n";

std::span<const std::byte> mark_bytes() { return as_bytes(mark); }

// How the lodges that `peers` names are spoken to: by TLS where they offer it. Nobody's name is checked: whoever can
// stand between lodges could stop a statement, and no more.
std::shared_ptr<const server_access> access_by_prefer() {
  static const std::shared_ptr<const server_access> made = [] {
    auto access = std::make_shared<server_access>();
    routing::server any;
    any.tls = routing::tls_mode::prefer;
    if (auto tls = server_tls::load(any)) access->tls = std::move(*tls);
    return access;
  }();
  return made;
}

const std::function<void()> nobody;  // wants to know when it is sent

// Who waits until all have been shown the key.
struct audience {
  explicit audience(asio::io_context& home) : all_done(home, clock::time_point::max()) {}
  timer all_done;
  std::size_t missing = 0;
};

task<void> show_peer(std::string peer, pgwire::cancel_key key, dial& dialling, transport& server) {
  const auto address = conf::parse_address(peer);
  if (!address) co_return;
  const routing::host host{address->host, address->port.value_or(conf::listen_settings().port)};
  const auto found = co_await dialling.look_up(host);
  if (!found || found->empty()) co_return;
  cancel_target target{found->front(), host.address, access_by_prefer(), routing::tls_mode::prefer, key};
  if (!target.how->tls) target.mode = routing::tls_mode::disable;
  co_await deliver_cancel(dialling, server, target, nobody);
}

task<void> show_older(std::string door, pgwire::cancel_key key, dial& dialling, transport& server) {
  const cancel_target target{abstract_address(door), "/", access_by_prefer(), routing::tls_mode::disable, key};
  co_await deliver_cancel(dialling, server, target, nobody);
}

}  // namespace

std::optional<pgwire::cancel_key> marked_as_passed_on(const pgwire::cancel_key& key) {
  std::vector<std::byte> secret(key.secret().begin(), key.secret().end());
  const auto end = mark_bytes();
  secret.insert(secret.end(), end.begin(), end.end());
  if (secret.size() > pgwire::cancel_key::most_secret_bytes) return std::nullopt;
  return pgwire::cancel_key(key.process_id(), secret);
}

std::optional<pgwire::cancel_key> without_mark(const pgwire::cancel_key& key) {
  const auto secret = key.secret();
  const auto end = mark_bytes();
  if (secret.size() <= end.size() || !std::ranges::equal(secret.last(end.size()), end)) return std::nullopt;
  return pgwire::cancel_key(key.process_id(), secret.first(secret.size() - end.size()));
}

task<void> neighbour_lodges::pass_on(worker& home, const conf::daemon_settings& settings,
                                     const pgwire::cancel_key& key) {
  const auto marked = marked_as_passed_on(key);
  if (!marked || (older_.empty() && settings.peers.empty())) co_return;
  struct place {
    std::atomic<unsigned>& count;
    const bool is_free;
    explicit place(std::atomic<unsigned>& all) : count(all), is_free(all.fetch_add(1) < most_at_once) {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { count.fetch_sub(1); }
  };
  const place mine(under_way_);
  if (!mine.is_free) co_return;

  auto waiting = std::make_shared<audience>(home.context());
  const std::function<void()> done = [waiting] {
    if (--waiting->missing == 0) waiting->all_done.cancel();
  };
  waiting->missing = older_.size() + settings.peers.size();
  for (const std::string& door : older_) {
    run_cancel_errand(home, std::bind_front(&show_older, door, *marked), done);
  }
  for (const std::string& peer : settings.peers) {
    run_cancel_errand(home, std::bind_front(&show_peer, peer, *marked), done);
  }
  // Who answers at once has done so before anybody waits.
  if (waiting->missing > 0) co_await waiting->all_done.async_wait(no_throw);
}

}  // namespace proxy
