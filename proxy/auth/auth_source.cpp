#include "proxy/auth/auth_source.hpp"

#include <exception>
#include <utility>

#include "conf/words.hpp"
#include "proxy/desk/log_line.hpp"
#include "proxy/random.hpp"

namespace proxy {
namespace {

constexpr clock::duration for_ever = clock::duration::max();

// With auth.query the file may hold nothing but the password of the role that asks, which says nothing of the others.
secret_likeness likeness_of(const user_table* users, bool has_query) {
  const auto of_file = users != nullptr ? users->likeness() : std::nullopt;
  if (!of_file || (has_query && of_file->kind != secret_kind::scram)) return {};
  return *of_file;
}

}  // namespace

auth_tools::auth_tools() { fill_random(mock_key.writable()); }

auth_source::auth_source(auth_tools& tools, std::shared_ptr<const user_table> users, std::unique_ptr<role_query> query)
    : tools_(tools),
      users_(std::move(users)),
      query_(std::move(query)),
      likeness_(likeness_of(users_.get(), query_ != nullptr)),
      cache_(query_ ? clock::duration(answer_life) : for_ever) {}

task<auth_source::finding> auth_source::find(executor home, std::string role, std::weak_ptr<wait_point>& waits_at) {
  if (auto known = at_hand(role)) co_return known;
  const auto waiting = std::make_shared<waiter>(home);
  waits_at = waiting;
  if (!ask(role, waiting)) co_return std::unexpected(failure::unavailable);
  auto found = co_await waiting->wait();
  if (!found) co_return std::unexpected(failure::cancelled);
  co_return std::move(*found);
}

const pgwire::secret_string* auth_source::known_password(std::string_view role) const {
  return users_ ? users_->password(role) : nullptr;
}

void auth_source::build_ahead() {
  if (!users_) return;
  if (const auto before = std::exchange(tools_.built_last, users_).lock()) users_->take_built(*before);
  auto left = users_->without_scram();
  if (!left.empty()) build_next(std::make_shared<secrets_to_build>(std::move(left)));
}

// One at a time, each behind whatever has come to be asked meanwhile. Where it ends early, for want of room, whoever
// needs a secret builds it.
void auth_source::build_next(std::shared_ptr<secrets_to_build> left) {
  // As with questions: want of memory is the end.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  auto job = [weak = weak_from_this(), left]() noexcept {
    const auto self = weak.lock();
    if (!self) return;  // another configuration is in force
    const auto [role, secret] = std::move(left->back());
    left->pop_back();
    secret->build_scram(self->tools_.mock_key, role);
    if (!left->empty()) self->build_next(left);
  };
  static_cast<void>(tools_.asking.try_post(std::move(job)));
}

void auth_source::doubt(std::string_view role) {
  if (!query_) return;
  const std::scoped_lock lock(mutex_);
  cache_.doubt(role, least_doubted_age, clock::now());
}

void auth_source::close_idle(clock::time_point now) {
  if (query_) query_->close_idle(now);
}

// Null: it must be asked for.
stored_secret_ptr auth_source::at_hand(const std::string& role) {
  const auto* entry = users_ ? users_->find(role) : nullptr;
  if (entry != nullptr && *entry) return *entry;
  const std::scoped_lock lock(mutex_);
  if (auto known = cache_.find(role, clock::now())) return known;
  const bool is_decided = entry != nullptr || !query_;
  return is_decided ? put_mock(role) : nullptr;
}

// With the mutex.
stored_secret_ptr auth_source::put_mock(const std::string& role) {
  auto mock = stored_secret::mock(tools_.mock_key, role, likeness_);
  cache_.put(role, mock, clock::now());
  return mock;
}

// False: it cannot be asked for.
bool auth_source::ask(const std::string& role, const std::shared_ptr<waiter>& for_whom) {
  const std::scoped_lock lock(mutex_);
  const auto [entry, is_first] = asked_.try_emplace(role);
  if (is_first) {
    // What could still be thrown is want of memory: better the end than that those who ask wait for ever.
    // NOLINTNEXTLINE(bugprone-exception-escape)
    auto job = [self = shared_from_this(), role]() noexcept { self->answer(role); };
    if (!tools_.asking.try_post(std::move(job))) {
      asked_.erase(entry);
      return false;
    }
  }
  entry->second.push_back(for_whom);
  return true;
}

// In a thread that asks.
void auth_source::answer(const std::string& role) {
  finding found = std::unexpected(failure::unavailable);
  try {
    found = put_question(role);
  } catch (const std::exception& error) {
    desk::say_bounded(spdlog::level::err, "auth.query for role {}: {}", conf::in_quotes(role), error.what());
  }
  std::vector<std::weak_ptr<waiter>> waiting;
  {
    const std::scoped_lock lock(mutex_);
    if (auto entry = asked_.extract(role)) waiting = std::move(entry.mapped());
  }
  for (const auto& one : waiting) waiter::bring(one, found);
}

auth_source::finding auth_source::put_question(const std::string& role) {
  auto answered = query_->ask(role, tools_.stop.get_token());
  if (!answered) {
    desk::say_bounded(spdlog::level::err, "role {} cannot be authenticated now: {}", conf::in_quotes(role),
                      answered.error());
    return std::unexpected(failure::unavailable);
  }
  if (!answered->remark.empty())
    desk::say_bounded(spdlog::level::warn, "auth.query for role {}: {}", conf::in_quotes(role), answered->remark);
  const std::scoped_lock lock(mutex_);
  if (!answered->secret) return put_mock(role);
  auto known = std::make_shared<const stored_secret>(*std::move(answered->secret));
  if (known->kind() == secret_kind::md5) known->build_scram(tools_.mock_key, role);  // quick, and then it is at hand
  cache_.put(role, known, clock::now());
  return known;
}

}  // namespace proxy
