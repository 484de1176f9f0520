#include "proxy/auth/stored_secret.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "protocol/base64.hpp"
#include "protocol/byte_reader.hpp"
#include "proxy/random.hpp"

namespace proxy {
namespace {

using pgwire::password_secret;
static_assert(std::is_same_v<std::variant_alternative_t<0, password_secret>, pgwire::plain_secret>);
static_assert(std::is_same_v<std::variant_alternative_t<1, password_secret>, pgwire::md5_secret>);
static_assert(std::is_same_v<std::variant_alternative_t<2, password_secret>, pgwire::scram_secret>);

// 32 characters out of 24 random bytes: nobody guesses it, and `is_mock` would still stand in the way.
pgwire::secret_string random_text() {
  std::array<std::byte, 24> bytes{};
  fill_random(bytes);
  std::string text = pgwire::base64_encode(bytes);
  pgwire::secret_string secret(text);
  pgwire::wipe(std::as_writable_bytes(std::span(text)));
  pgwire::wipe(bytes);
  return secret;
}

}  // namespace

stored_secret_ptr stored_secret::mock(const pgwire::secret_key& mock_key, std::string_view role,
                                      const secret_likeness& like) {
  const auto made = [&]() -> password_secret {
    switch (like.kind) {
      case secret_kind::plain: return pgwire::plain_secret{random_text()};
      case secret_kind::md5: return pgwire::md5_secret{random_text()};
      case secret_kind::scram: break;
    }
    return pgwire::mock_scram_secret(mock_key, role, like.iterations);
  };
  const std::shared_ptr<stored_secret> secret(new stored_secret(made(), true));
  constexpr auto iterations = pgwire::default_scram_iterations;  // as those that are built
  if (like.kind != secret_kind::scram) secret->put_built(pgwire::mock_scram_secret(mock_key, role, iterations));
  return secret;
}

const pgwire::scram_secret* stored_secret::scram_at_hand() const {
  if (const auto* scram = std::get_if<pgwire::scram_secret>(&secret_)) return scram;
  return is_built_.load(std::memory_order_acquire) ? &*built_ : nullptr;
}

const pgwire::scram_secret& stored_secret::build_scram(const pgwire::secret_key& mock_key,
                                                       std::string_view role) const {
  if (const auto* there = scram_at_hand()) return *there;
  const std::scoped_lock lock(building_);
  if (!built_) {
    constexpr auto iterations = pgwire::default_scram_iterations;
    if (const auto* plain = std::get_if<pgwire::plain_secret>(&secret_)) {
      const std::string salt = pgwire::stable_salt(mock_key, role);
      put_built(pgwire::build_scram_secret(plain->password.view(), pgwire::as_bytes(salt), iterations));
    } else {
      put_built(pgwire::mock_scram_secret(mock_key, role, iterations));
    }
  }
  return *built_;
}

void stored_secret::take_built(const stored_secret& old) const {
  const auto* mine = std::get_if<pgwire::plain_secret>(&secret_);
  const auto* theirs = std::get_if<pgwire::plain_secret>(&old.secret_);
  const auto* built = old.scram_at_hand();
  if (mine == nullptr || theirs == nullptr || built == nullptr || mine->password != theirs->password) return;
  const std::scoped_lock lock(building_);
  if (!built_) put_built(*built);
}

// With the mutex, or before anybody else knows of it.
void stored_secret::put_built(pgwire::scram_secret built) const {
  built_ = std::move(built);
  is_built_.store(true, std::memory_order_release);
}

}  // namespace proxy
