// What the lodge keeps of one role's password, or, for a role that has none, what stands in for it.
//
// SCRAM needs a SCRAM secret. From a plain password one can be built, which is slow, so it is built once and
// remembered: ahead of time where the users file has the password (`auth_source::build_ahead`), else by whoever needs
// it first. The salt is always the same for a role: a fresh one for each client would tell plain secrets from the
// others.
//
// A role that does not exist gets a mock of the kind that the other roles have: a random password, a random MD5, a
// SCRAM secret that nothing verifies. All methods then do with it exactly what they do with a real one, and nothing in
// their code asks which it is until the very end: `is_mock` must be asked before anybody is let in. For SCRAM a mock is
// ready when it is made, as a real one is that has been built: nothing slow comes before the client is asked, or one
// question would tell who logs in here from who never has. The salts of mocks and plain secrets come from a key that is
// drawn when the process starts. They change with a restart, where those of SCRAM secrets do not; who watches a role
// over a restart can tell the kinds apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "protocol/password_secret.hpp"
#include "protocol/scram_keys.hpp"
#include "protocol/secret.hpp"

namespace proxy {

enum class secret_kind : std::uint8_t { plain, md5, scram };

/// What a mock should be like: what most roles have.
struct secret_likeness {
  secret_kind kind = secret_kind::scram;
  std::uint32_t iterations = pgwire::default_scram_iterations;
};

class stored_secret {
 public:
  explicit stored_secret(pgwire::password_secret secret) : stored_secret(std::move(secret), false) {}
  stored_secret(const stored_secret&) = delete;
  stored_secret& operator=(const stored_secret&) = delete;

  static std::shared_ptr<const stored_secret> mock(const pgwire::secret_key& mock_key, std::string_view role,
                                                   const secret_likeness& like);

  [[nodiscard]] bool is_mock() const { return is_mock_; }
  [[nodiscard]] secret_kind kind() const { return static_cast<secret_kind>(secret_.index()); }
  [[nodiscard]] const pgwire::password_secret& secret() const { return secret_; }

  /// For a SCRAM exchange; null if it has yet to be built.
  [[nodiscard]] const pgwire::scram_secret* scram_at_hand() const;
  /// The same, built if need be, which is slow for a plain secret. From an md5 secret none can be built: a mock.
  /// Safe from any thread. Key and role are always the same.
  const pgwire::scram_secret& build_scram(const pgwire::secret_key& mock_key, std::string_view role) const;
  /// Takes what `old` has built, if it is the same password. Of the same role and key.
  void take_built(const stored_secret& old) const;

 private:
  stored_secret(pgwire::password_secret secret, bool is_mock) : secret_(std::move(secret)), is_mock_(is_mock) {}

  void put_built(pgwire::scram_secret built) const;

  const pgwire::password_secret secret_;
  const bool is_mock_;
  mutable std::mutex building_;
  mutable std::optional<pgwire::scram_secret> built_;  ///< written once, under the mutex, before `is_built_`
  mutable std::atomic<bool> is_built_ = false;
};

using stored_secret_ptr = std::shared_ptr<const stored_secret>;

}  // namespace proxy
