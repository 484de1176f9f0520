#include "proxy/name_lookup.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <bit>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "proxy/error_text.hpp"

namespace proxy {
namespace {

struct address_list_freer {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

}  // namespace

// What asking and the threads have in common.
struct name_lookup::records {
  struct waiter {
    std::weak_ptr<const void> whom;
    listener tell;
  };
  struct record {
    std::vector<waiter> waiting;
    std::optional<answer> found;  ///< nothing: it is being looked up, or will be
    clock::time_point kept_until;
  };

  records(resolver by, clock::duration keeps) : resolve(std::move(by)), keep(keeps) {}

  // A thread's work, until there is no more of it.
  static void work(const std::shared_ptr<records>& self) {
    std::unique_lock lock(self->mutex);
    while (!self->queue.empty()) {
      const std::string name = std::move(self->queue.front());
      self->queue.pop_front();
      lock.unlock();
      answer found = self->resolve_safely(name);
      lock.lock();
      self->take(name, std::move(found));
    }
    --self->threads;
  }

  answer resolve_safely(const std::string& name) const {
    try {
      return resolve(name);
    } catch (const std::exception& error) {
      return std::unexpected(std::string("its name could not be looked up: ") + error.what());
    }
  }

  void take(const std::string& name, answer found) {
    const auto at = names.find(name);
    if (at == names.end()) return;  // closed
    for (waiter& one : std::exchange(at->second.waiting, {})) {
      if (!one.whom.expired()) one.tell(found);
    }
    at->second.found = std::move(found);
    at->second.kept_until = clock::now() + keep;
  }

  // False: there is none, and can be none.
  bool have_thread(const std::shared_ptr<records>& self) {
    if (threads == most_threads) return true;
    try {
      std::thread(&work, self).detach();
      ++threads;
    } catch (const std::system_error&) {
      return threads > 0;
    }
    return true;
  }

  void forget_old(clock::time_point now) {
    std::erase_if(names, [now](const auto& one) { return one.second.found && now >= one.second.kept_until; });
  }

  const resolver resolve;
  const clock::duration keep;
  std::mutex mutex;
  std::unordered_map<std::string, record> names;
  std::deque<std::string> queue;  ///< names that no thread has begun with
  std::size_t threads = 0;
  bool closed = false;
};

name_lookup::name_lookup(resolver resolve, clock::duration keep)
    : records_(std::make_shared<records>(std::move(resolve), keep)) {}

std::optional<name_lookup::answer> name_lookup::ask(const std::string& name, std::weak_ptr<const void> whom,
                                                    listener tell) {
  error_code no_number;
  const auto number = asio::ip::make_address(name, no_number);
  if (!no_number) return answer({number});

  const std::scoped_lock lock(records_->mutex);
  if (records_->closed) return std::unexpected("the lodge is leaving");
  records_->forget_old(clock::now());
  const auto [at, is_new] = records_->names.try_emplace(name);
  if (at->second.found) return at->second.found;
  if (is_new && !records_->have_thread(records_)) {
    records_->names.erase(at);
    return std::unexpected("there is no thread to look up its name");
  }
  if (is_new) records_->queue.push_back(name);
  auto& waiting = at->second.waiting;
  // A look-up that never returns must not gather all who have given up: now and then they go.
  if (std::has_single_bit(waiting.size())) std::erase_if(waiting, [](const auto& one) { return one.whom.expired(); });
  waiting.push_back({std::move(whom), std::move(tell)});
  return std::nullopt;
}

void name_lookup::close() {
  const std::scoped_lock lock(records_->mutex);
  records_->closed = true;
  records_->queue.clear();
  records_->names.clear();
}

name_lookup::answer name_lookup::ask_system(const std::string& name) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failed = ::getaddrinfo(name.c_str(), nullptr, &wanted, &first);
  if (failed != 0) {
    const std::string why = failed == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(failed);
    return std::unexpected("its name was not found: " + why);
  }
  const std::unique_ptr<addrinfo, address_list_freer> owned(first);
  std::vector<asio::ip::address> all;
  for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
    asio::ip::tcp::endpoint at;
    if (one->ai_addrlen > at.capacity()) continue;
    std::memcpy(at.data(), one->ai_addr, one->ai_addrlen);
    at.resize(one->ai_addrlen);
    all.push_back(at.address());
  }
  return all;
}

}  // namespace proxy
