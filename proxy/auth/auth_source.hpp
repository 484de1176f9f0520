// Where roles' secrets come from: the users file, else `auth.query`, else nowhere. Whoever asks for a role gets a
// secret in any case; for a role that has none it is a mock (`stored_secret`). Mocks never change, since real ones do
// not: they are like most secrets of the users file. With auth.query they are SCRAM, with the iterations that most of
// the file's secrets have if those are SCRAM, else PostgreSQL's 4096, which is how a server mocks them. So where the
// roles at the server have md5 secrets (and the method is md5), plain ones, or other iterations than the mocks, who has
// none can be told; a SCRAM secret in the users file, of a role that nobody uses, says what the iterations are.
//
// A source belongs to one configuration and never changes; what it has found out, and the connections it asks on, end
// with it. Answers of auth.query, also that there is no such role, are taken for true for a short time, so that a storm
// of logins is one question; those who ask for the same role at the same time wait for the same answer. A failure is
// remembered for no role.
//
// A client can tell by the time whether a role stands in the users file or is asked for, but not whether it exists.
// The SCRAM secrets of the file's plain passwords are built when it is loaded, in the background; until that is done,
// about 3 ms for each that is new, those that wait for it can be told by the time.
//
// When a client is wrong, the answer that it was judged by is doubted: the next attempt asks again, so that a new
// password is good at the second try. At most once a second for a role, however often somebody is wrong.
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
#include <utility>
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
  std::weak_ptr<const user_table> built_last;  ///< for the thread that loads configurations
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
  /// Younger ones are not doubted.
  static constexpr std::chrono::seconds least_doubted_age{1};

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

  /// Begins to build the SCRAM secrets of the users file's plain passwords; those that the source before has built are
  /// taken over. Where clients may come by scram-sha-256; for the thread that loads configurations.
  void build_ahead();

  /// A client was wrong by what is known of this role. From any thread.
  void doubt(std::string_view role);

  [[nodiscard]] const user_table* users() const { return users_.get(); }
  [[nodiscard]] const pgwire::secret_key& mock_key() const { return tools_.mock_key; }

  /// Closes connections that have not been used for a while. Quick; to be called every few seconds, from any thread.
  void close_idle(clock::time_point now);

 private:
  using waiter = delivery<finding>;
  using secrets_to_build = std::vector<std::pair<std::string, stored_secret_ptr>>;

  [[nodiscard]] stored_secret_ptr at_hand(const std::string& role);
  [[nodiscard]] stored_secret_ptr put_mock(const std::string& role);
  [[nodiscard]] bool ask(const std::string& role, const std::shared_ptr<waiter>& for_whom);
  void answer(const std::string& role);
  [[nodiscard]] finding put_question(const std::string& role);
  void build_next(std::shared_ptr<secrets_to_build> left);

  auth_tools& tools_;
  const std::shared_ptr<const user_table> users_;
  const std::unique_ptr<role_query> query_;
  std::mutex mutex_;
  const secret_likeness likeness_;
  secret_cache cache_;
  std::unordered_map<std::string, std::vector<std::weak_ptr<waiter>>> asked_;  ///< who waits, by role
};

}  // namespace proxy
