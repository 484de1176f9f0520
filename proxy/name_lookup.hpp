// The addresses of names, for all threads of the lodge: by the system's resolver, which blocks and cannot be
// interrupted, on threads of its own.
//
// A name is looked up once at a time, whoever asks for it: one whose nameserver is silent takes one thread, and holds
// up nobody who asks for another. All who have asked are told what was found, and so is, at once, whoever asks within a
// second after: a failure as well. Who will not wait any longer leaves the look-up to itself. There are a few threads
// while they are needed; if all of them hang, other names wait until one is free again.
//
// What must hold: who is told is told on such a thread and under a lock, so it passes the answer on to where it belongs
// and does nothing else. `close` comes when nobody asks any more, and before the event loops go to which answers are
// posted. It waits for no look-up: a thread that hangs has its part in what it touches, and tells nobody when it
// returns.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/io.hpp"

namespace proxy {

/// Safe from any thread.
class name_lookup {
 public:
  using answer = std::expected<std::vector<asio::ip::address>, std::string>;  ///< the error is for people
  using listener = std::move_only_function<void(const answer&)>;
  using resolver = std::function<answer(const std::string& name)>;

  static constexpr std::size_t most_threads = 8;
  static constexpr std::chrono::seconds kept_for{1};

  /// `resolve` may block, and may be called when this object is gone.
  explicit name_lookup(resolver resolve = &ask_system, clock::duration keep = kept_for);
  ~name_lookup() { close(); }
  name_lookup(const name_lookup&) = delete;
  name_lookup& operator=(const name_lookup&) = delete;

  /// What is known already: of numeric addresses, and of names that were just looked up. Otherwise `tell` is called
  /// later, unless `whom` is gone by then.
  std::optional<answer> ask(const std::string& name, std::weak_ptr<const void> whom, listener tell);
  /// From now on nobody is told anything.
  void close();

 private:
  static answer ask_system(const std::string& name);

  struct records;
  const std::shared_ptr<records> records_;
};

}  // namespace proxy
