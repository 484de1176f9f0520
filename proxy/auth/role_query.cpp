#include "proxy/auth/role_query.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>

#include "conf/names.hpp"

namespace proxy {

namespace {

constexpr std::string_view character_not_in_repertoire = "22021";

enum class waited : std::uint8_t { ready, late, failed };

// Waits until the connection's socket can be read or written, as `events` says, or it is too late.
waited wait_for(PGconn* connection, short events, role_query::clock::time_point deadline, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - role_query::clock::now());
    if (left.count() <= 0) break;
    pollfd one{PQsocket(connection), events, 0};
    if (one.fd < 0) return waited::failed;
    const int n = ::poll(&one, 1, static_cast<int>(std::min(left, role_query::stop_interval).count()));
    if (n > 0) return waited::ready;
    if (n < 0 && errno != EINTR) return waited::failed;
  }
  return waited::late;
}

}  // namespace

role_query::role_query(role_query_settings settings) : settings_(std::move(settings)) {}

role_query::~role_query() = default;

std::expected<role_query::answer, std::string> role_query::ask(const std::string& role, const std::stop_token& stop) {
  // PostgreSQL knows no longer names, and `name` values are cut: asked for one, it would give another role's secret.
  if (role.empty() || role.size() > conf::longest_identifier || role.contains('\0')) return answer{};

  if (auto old = take_kept(clock::now())) {
    auto outcome = run(*old, role, stop);
    if (outcome) {
      keep(*std::move(old));
      return *std::move(outcome);
    }
    if (!outcome.error().lost) return std::unexpected(std::move(outcome.error().why));
  }
  auto fresh = connect(stop);
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  auto outcome = run(*fresh, role, stop);
  if (!outcome) return std::unexpected(std::move(outcome.error().why));
  keep(*std::move(fresh));
  return *std::move(outcome);
}

void role_query::close_idle(clock::time_point now) {
  std::vector<kept> closing;  // without the mutex
  const std::scoped_lock lock(mutex_);
  const auto stale = std::ranges::partition(idle_, [&](const kept& one) { return now - one.used < most_idle; });
  std::ranges::move(stale, std::back_inserter(closing));
  idle_.erase(stale.begin(), stale.end());
}

std::optional<role_query::kept> role_query::take_kept(clock::time_point now) {
  close_idle(now);
  const std::scoped_lock lock(mutex_);
  if (idle_.empty()) return std::nullopt;
  kept one = std::move(idle_.back());
  idle_.pop_back();
  return one;
}

void role_query::keep(kept one) {
  one.used = clock::now();
  if (one.used - one.born >= most_age) return;
  const std::scoped_lock lock(mutex_);
  if (idle_.size() < most_connections) idle_.push_back(std::move(one));
}

std::expected<role_query::kept, std::string> role_query::connect(const std::stop_token& stop) {
  std::size_t first = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (clock::now() < down_until_) return std::unexpected(down_why_);
    first = primary_;
  }
  std::string why;
  for (std::size_t i = 0; i < settings_.hosts.size(); ++i) {
    const std::size_t index = (first + i) % settings_.hosts.size();
    auto connected = connect_to(settings_.hosts[index], stop);
    const std::scoped_lock lock(mutex_);
    if (connected) {
      primary_ = index;
      down_until_ = {};
      return kept{*std::move(connected), clock::now(), clock::now()};
    }
    why += (why.empty() ? "" : "; ") + routing::to_string(settings_.hosts[index]) + ": " + connected.error();
  }
  const std::scoped_lock lock(mutex_);
  down_until_ = clock::now() + failure_memory;
  down_why_ = "database \"" + settings_.database + "\" could not be reached for auth.query: " + why;
  return std::unexpected(down_why_);
}

std::expected<libpq_connection, std::string> role_query::connect_to(const routing::host& where,
                                                                    const std::stop_token& stop) const {
  const auto deadline = clock::now() + settings_.connect_timeout;
  const std::string options =
      "-c search_path=pg_catalog -c statement_timeout=" + std::to_string(query_timeout.count()) + "ms";
  libpq_parameters with(settings_, where);
  with.add("options", options.c_str());
  with.add("application_name", "pglodge-auth");
  with.add("client_encoding", "SQL_ASCII");  // names are compared byte by byte, as a server compares them at a login
  with.add("target_session_attrs", "primary");

  libpq_connection made(PQconnectStartParams(with.names(), with.values(), 0));
  if (!made) return std::unexpected("no memory for a connection");
  PQsetNoticeReceiver(made.get(), [](void*, const PGresult*) {}, nullptr);
  if (PQstatus(made.get()) == CONNECTION_BAD) return std::unexpected(libpq_words(PQerrorMessage(made.get())));
  for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = PQconnectPoll(made.get())) {
    if (state == PGRES_POLLING_FAILED) return std::unexpected(libpq_words(PQerrorMessage(made.get())));
    const auto ready = wait_for(made.get(), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, stop);
    if (ready == waited::late) return std::unexpected("no answer in time");
    if (ready == waited::failed) return std::unexpected("the connection broke");
  }
  if (PQsetnonblocking(made.get(), 1) != 0) return std::unexpected(libpq_words(PQerrorMessage(made.get())));
  return made;
}

namespace {

// One answer as it comes in, row by row, so that the second row is the last that is looked at.
class row_reader {
 public:
  explicit row_reader(const std::string& role) : role_(role) {}

  // What is wrong with it, if anything.
  std::optional<std::string> take(PGresult* result) {
    switch (PQresultStatus(result)) {
      case PGRES_SINGLE_TUPLE: return take_row(result);
      case PGRES_TUPLES_OK: return columns_problem(result);
      case PGRES_FATAL_ERROR: return take_error(result);
      default: return "it gives no rows";
    }
  }

  role_query::answer finish() { return std::move(answer_); }

 private:
  static std::optional<std::string> columns_problem(const PGresult* result) {
    const int columns = PQnfields(result);
    if (columns == 2) return std::nullopt;
    return "it gives " + std::to_string(columns) + " column(s), where name and secret must be";
  }

  std::optional<std::string> take_row(PGresult* row) {
    if (auto problem = columns_problem(row)) return problem;
    if (std::exchange(has_row_, true)) return "it gives more than one row";
    if (PQgetisnull(row, 0, 0) != 0 || std::string_view(PQgetvalue(row, 0, 0)) != role_) {
      return "it gives the row of another role";
    }
    if (PQgetisnull(row, 0, 1) != 0) return std::nullopt;
    const std::span text(PQgetvalue(row, 0, 1), static_cast<std::size_t>(PQgetlength(row, 0, 1)));
    auto secret = pgwire::parse_password_secret({text.data(), text.size()});
    pgwire::wipe(std::as_writable_bytes(text));
    if (secret) {
      answer_.secret = *std::move(secret);
    } else {
      answer_.remark = "the role's secret cannot be used";
    }
    return std::nullopt;
  }

  std::optional<std::string> take_error(PGresult* result) {
    // A name that is no text in the server's encoding is no role's.
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != nullptr && state == character_not_in_repertoire) return std::nullopt;
    return libpq_words(PQresultErrorMessage(result));
  }

  const std::string& role_;
  bool has_row_ = false;
  role_query::answer answer_;
};

}  // namespace

std::expected<role_query::answer, role_query::failure> role_query::run(kept& on, const std::string& role,
                                                                       const std::stop_token& stop) const {
  PGconn* server = on.to.get();
  const auto deadline = clock::now() + query_timeout;
  const auto failed = [&](const std::string& why, bool lost) {
    return std::unexpected(failure{"auth.query failed: " + why, lost});
  };
  const auto broke = [&] { return failed(libpq_words(PQerrorMessage(server)), true); };
  const auto await = [&](short events) { return wait_for(server, events, deadline, stop); };

  const std::array<const char*, 1> values{role.c_str()};
  if (PQsendQueryParams(server, settings_.sql.c_str(), 1, nullptr, values.data(), nullptr, nullptr, 0) != 1) {
    return broke();
  }
  PQsetSingleRowMode(server);
  for (int unsent = PQflush(server); unsent != 0; unsent = PQflush(server)) {
    if (unsent < 0) return broke();
    const auto ready = await(POLLIN | POLLOUT);
    if (ready == waited::late) return failed("no answer in time", false);
    if (ready == waited::failed || PQconsumeInput(server) != 1) return broke();
  }
  row_reader rows(role);
  for (;;) {
    while (PQisBusy(server) != 0) {
      const auto ready = await(POLLIN);
      if (ready == waited::late) return failed("no answer in time", false);
      if (ready == waited::failed || PQconsumeInput(server) != 1) return broke();
    }
    const libpq_result result(PQgetResult(server));
    if (!result) return rows.finish();
    if (const auto problem = rows.take(result.get())) return failed(*problem, PQstatus(server) == CONNECTION_BAD);
  }
}

}  // namespace proxy
