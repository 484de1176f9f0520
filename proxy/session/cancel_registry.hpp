// Which session a cancel key belongs to, and where its statement runs.
//
// A client never learns a server's own cancel key: it gets one made here, which is worth something only while its
// session lives and can be looked up nowhere else. The process id in it is the server's own (applications cancel
// with pg_cancel_backend(pid)), so several sessions on several servers may share one; the secret decides, and it
// is compared without an early exit.
//
// A pooled session holds a server only now and then: its key is aimed at one for that time. A server to which a cancel
// request is still on its way must not serve anybody else, or the wrong statement is hit: `busy` tells.
//
// What it must keep: an entry is there exactly as long as its handle; what `find` gives stays valid whatever happens
// to the session meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/cancel_key.hpp"
#include "proxy/credentials.hpp"
#include "proxy/io.hpp"

namespace proxy {

/// Where a cancel request has to go, and the key that the server gave for it.
struct cancel_target {
  endpoint server;
  std::string host;  ///< by whose name TLS knows it
  std::shared_ptr<const server_access> how;
  routing::tls_mode mode = routing::tls_mode::disable;
  pgwire::cancel_key server_key;
};

class cancel_registry {
  struct slot {
    std::mutex mutex;
    std::shared_ptr<const cancel_target> target;                 ///< null: the session holds no server
    bool waiting = false;                                        ///< it has a statement that waits for one
    std::atomic<bool> requested = false;                         ///< see handle::requested
    unsigned under_way = 0;                                      ///< cancel requests to it
    std::vector<std::shared_ptr<const cancel_target>> doubtful;  ///< that a request may still reach
  };

 public:
  /// A cancel request under way. Move-only.
  class [[nodiscard]] request {
   public:
    request(request&& other) noexcept = default;
    request& operator=(request&&) = delete;
    ~request();
    const cancel_target& operator*() const { return *target_; }
    const cancel_target* operator->() const { return target_.get(); }
    /// It was written, and may arrive at any time; or the server has said that it has seen to it.
    void sent() { doubtful_ = true; }
    void seen_to() { doubtful_ = false; }
    /// No other is under way to the same session.
    [[nodiscard]] bool is_only() const;

   private:
    friend class cancel_registry;
    request(std::shared_ptr<slot> of, std::shared_ptr<const cancel_target> target)
        : slot_(std::move(of)), target_(std::move(target)) {}
    std::shared_ptr<slot> slot_;
    std::shared_ptr<const cancel_target> target_;
    bool doubtful_ = false;
  };

  /// Move-only; the entry goes with it.
  class [[nodiscard]] handle {
   public:
    handle() = default;
    handle(handle&& other) noexcept;
    handle& operator=(handle&& other) noexcept;
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle();

    /// What the key cancels from now on; null: nothing. Of a handle that holds an entry. Gives whether a request is
    /// on its way to what it cancelled before, or may be.
    bool aim(std::shared_ptr<const cancel_target> target);
    /// A statement waits for a server, or does not any more.
    void set_waiting(bool waiting);
    /// Whether a cancel request has come, while the key was aimed or a statement waited, since `forget_requests`: what
    /// has not run by now shall not.
    [[nodiscard]] bool requested() const { return slot_->requested; }
    /// Another statement begins.
    void forget_requests() { slot_->requested = false; }
    /// Whether a request is on its way to the target, or to one before.
    [[nodiscard]] bool busy() const;
    /// Whether a request has ended of which nobody knows whether it will still arrive there. Told once.
    [[nodiscard]] bool take_doubt(const std::shared_ptr<const cancel_target>& at);
    /// A request of the lodge's own, as if the client had sent one; nothing if there is nothing to cancel.
    [[nodiscard]] std::optional<request> own_request() const;

   private:
    friend class cancel_registry;
    handle(cancel_registry& registry, std::uint64_t id, std::shared_ptr<slot> of)
        : registry_(&registry), id_(id), slot_(std::move(of)) {}
    cancel_registry* registry_ = nullptr;
    std::uint64_t id_ = 0;
    std::shared_ptr<slot> slot_;
  };

  /// Makes `client_key` valid for `target`, if any. Safe from any thread; the registry must outlive the handle.
  handle add(const pgwire::cancel_key& client_key, std::shared_ptr<const cancel_target> target);

  /// The target of exactly this key, if a session holds it now and holds a server. One that waits for a server learns
  /// of it. Safe from any thread.
  [[nodiscard]] std::optional<request> find(const pgwire::cancel_key& presented) const;

  [[nodiscard]] std::size_t size() const;

 private:
  struct entry {
    std::int32_t process_id;
    std::string secret;  ///< a key as such has room for the longest
    std::shared_ptr<slot> aimed;
  };
  void remove(std::uint64_t id);

  mutable std::mutex mutex_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, entry> entries_;
  std::unordered_multimap<std::int32_t, std::uint64_t> by_process_id_;
};

/// Bytes of the secret in a client's cancel key (PostgreSQL docs, 55.7, BackendKeyData).
inline constexpr std::size_t secret_bytes_3_0 = 4;
inline constexpr std::size_t secret_bytes_3_2 = 32;

/// A key with the given process id and `secret_bytes` random bytes from the kernel's CSPRNG.
/// 4 bytes under protocol 3.0, 32 under 3.2.
pgwire::cancel_key make_cancel_key(std::int32_t process_id, std::size_t secret_bytes);

}  // namespace proxy
