// Where roles' secrets come from: the users file, else `auth.query`, else nowhere. Whoever asks for a role gets a
// secret in any case; for a role that has none it is a mock (`stored_secret`), which is like the others that were seen.
//
// A source belongs to one configuration and never changes; what it has found out, and the connections it asks on, end
// with it. Answers of auth.query, also that there is no such role, are taken for true for a short time, so that a storm
// of logins is one question; those who ask for the same role at the same time wait for the same answer. A failure is
// remembered for no role.
//
// A client can tell by the time whether a role stands in the users file or is asked for, but not whether it exists.
//
// What must hold: the threads that ask outlive every question; see `slow_work` for the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/auth/role_query.hpp"
#include "proxy/auth/secret_cache.hpp"
#include "proxy/auth/slow_work.hpp"
#include "proxy/auth/stored_secret.hpp"
#include "proxy/auth/users_file.hpp"
#include "proxy/auth/wait_point.hpp"

namespace proxy {

/// What all sources of a process have in common. Outlives them.
struct auth_tools {
  pgwire::secret_key mock_key;  ///< random; the salts of mocks and of plain secrets come from it
  std::stop_source stop;
  slow_work asking{role_query::most_connections};

  auth_tools();
  /// To be called as slow_work's, which see. Does not wait for servers.
  void close() {
    stop.request_stop();
    asking.close();
  }
};

class auth_source : public std::enable_shared_from_this<auth_source> {
 public:
  /// How long an answer of auth.query is taken for true. A password that was changed or has expired works for so long.
  static constexpr std::chrono::seconds answer_life{10};

  /// Either may be null. To be made by std::make_shared.
  auth_source(auth_tools& tools, std::shared_ptr<const user_table> users, std::unique_ptr<role_query> query);

  enum class failure : std::uint8_t {
    unavailable,  ///< auth.query failed, which has been logged, or too many ask
    cancelled,
  };
  using finding = std::expected<stored_secret_ptr, failure>;

  /// Never null. Waits in the thread of `home` if somebody must be asked; while it waits, `waits_at` is where to cancel
  /// it.
  task<finding> find(executor home, std::string role, std::weak_ptr<wait_point>& waits_at);

  /// The password itself, if the users file has it, for logging in at a server. Null if not; valid as long as the
  /// source.
  [[nodiscard]] const pgwire::secret_string* known_password(std::string_view role) const;

  [[nodiscard]] const user_table* users() const { return users_.get(); }
  [[nodiscard]] const pgwire::secret_key& mock_key() const { return tools_.mock_key; }

  /// Closes connections that have not been used for a while. Quick; to be called every few seconds, from any thread.
  void close_idle(clock::time_point now);

 private:
  using waiter = delivery<finding>;

  [[nodiscard]] stored_secret_ptr at_hand(const std::string& role);
  [[nodiscard]] stored_secret_ptr put_mock(const std::string& role);
  [[nodiscard]] bool ask(const std::string& role, const std::shared_ptr<waiter>& for_whom);
  void answer(const std::string& role);
  [[nodiscard]] finding put_question(const std::string& role);

  auth_tools& tools_;
  const std::shared_ptr<const user_table> users_;
  const std::unique_ptr<role_query> query_;
  std::mutex mutex_;
  secret_likeness likeness_;  ///< of the users file, then of what auth.query gave last
  secret_cache cache_;
  std::unordered_map<std::string, std::vector<std::weak_ptr<waiter>>> asked_;  ///< who waits, by role
};

}  // namespace proxy
