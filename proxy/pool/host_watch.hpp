// Asks the hosts of a server, every now and then, which of them is the primary: by libpq, on a connection of its own to
// each, in a thread of its own for all.
//
// Who looks for a server learns that by itself, too, but one session at a time and by trying: here it is known
// beforehand that the first host is dead, is a standby now, or is the primary again. It takes a login, so it is done
// for servers with a `user`, and matters where there are several hosts.
//
// A host is asked by `SELECT pg_is_in_recovery()`. Who does not answer within `connect_timeout` is down; who answers in
// words that are no login (no such database, wrong password) is there, but tells nothing.
//
// What must hold: the thread never blocks but in poll. So libpq is given addresses, and looks up no names.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/libpq_parameters.hpp"
#include "proxy/name_lookup.hpp"
#include "proxy/owned_descriptor.hpp"
#include "proxy/pool/host_roles.hpp"
#include "routing/route.hpp"

namespace proxy {

struct watched_host {
  std::string server;  ///< for people
  routing::host where;
  libpq_login login;
  std::chrono::milliseconds interval{};
  std::chrono::milliseconds connect_timeout{};
  friend bool operator==(const watched_host&, const watched_host&) = default;
};

class host_watch {
 public:
  struct finding {
    const watched_host& of;
    host_role role;
    bool changed;                ///< it was another when it was last asked, or is asked for the first time
    std::optional<endpoint> at;  ///< the address that answered, of primary and standby
    std::string why;             ///< of unknown and down
    host_roles::consequence follows = {};
  };
  using listener = std::function<void(const finding&)>;

  /// `tell` is called on the watch's thread. `names` must outlive the watch.
  host_watch(name_lookup& names, listener tell) : names_(names), tell_(std::move(tell)) {}
  ~host_watch() { stop(); }
  host_watch(const host_watch&) = delete;
  host_watch& operator=(const host_watch&) = delete;

  /// From now on these: those that were watched in the same way already go on, what is known of others is forgotten.
  /// There is a thread as soon as there is anything to watch. Throws std::system_error if that cannot be had.
  void watch(std::vector<watched_host> hosts);
  void stop();

 private:
  class post;
  using posts = std::vector<std::unique_ptr<post>>;
  void run(const std::stop_token& stop);
  void take_over(posts& there, host_roles& roles);

  name_lookup& names_;
  const listener tell_;
  std::mutex mutex_;
  std::vector<watched_host> next_;  ///< what the thread has not taken over yet
  bool has_next_ = false;
  /// Ends the thread's poll; there is one as long as there is a thread. Shared with who brings what names mean, perhaps
  /// when the watch is gone.
  std::shared_ptr<const owned_descriptor> bell_;
  std::jthread thread_;
};

}  // namespace proxy
