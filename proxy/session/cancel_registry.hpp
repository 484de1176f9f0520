// Which session a cancel key belongs to, and where its statement runs.
//
// A client never learns a server's own cancel key: it gets one made here, which is worth something only while its
// session lives and can be looked up nowhere else. The process id in it is the server's own (applications cancel
// with pg_cancel_backend(pid)), so several sessions on several servers may share one; the secret decides, and it
// is compared without an early exit.
//
// What it must keep: an entry is there exactly as long as its handle; `find` copies, so what it returns stays
// valid whatever happens to the session meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

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
 public:
  /// Move-only; the entry goes with it.
  class [[nodiscard]] handle {
   public:
    handle() = default;
    handle(handle&& other) noexcept;
    handle& operator=(handle&& other) noexcept;
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle();

   private:
    friend class cancel_registry;
    handle(cancel_registry& registry, std::uint64_t id) : registry_(&registry), id_(id) {}
    cancel_registry* registry_ = nullptr;
    std::uint64_t id_ = 0;
  };

  /// Makes `client_key` valid for `target`. Safe from any thread; the registry must outlive the handle.
  handle add(const pgwire::cancel_key& client_key, cancel_target target);

  /// The target of exactly this key, if a session holds it now. Safe from any thread.
  [[nodiscard]] std::optional<cancel_target> find(const pgwire::cancel_key& presented) const;

  [[nodiscard]] std::size_t size() const;

 private:
  struct entry {
    pgwire::cancel_key client_key;
    cancel_target target;
  };
  void remove(std::uint64_t id);

  mutable std::mutex mutex_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, entry> entries_;
  std::unordered_multimap<std::int32_t, std::uint64_t> by_process_id_;
};

/// A key with the given process id and `secret_bytes` random bytes from the kernel's CSPRNG.
/// 4 bytes under protocol 3.0, 32 under 3.2.
pgwire::cancel_key make_cancel_key(std::int32_t process_id, std::size_t secret_bytes);

}  // namespace proxy
