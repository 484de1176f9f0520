// A PostgreSQL server as far as its protocol and its session state go: what postgres.c does with messages, xact.c with
// transactions, and CopyGetData with what comes instead of data. How a statement ends follows from its text and from
// the session's state, so that two servers that are told the same say the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session.hpp"
#include "sql.hpp"

namespace fuzz_model {

class server {
 public:
  /// Told of each statement of a client's, and the state it runs in: the one that sent it, the text, the state.
  using observer = std::function<void(int client, std::string text)>;

  server(defaults start, observer on_statement) : start_(std::move(start)), on_statement_(std::move(on_statement)) {
    reported_ = start_[reported_at];
  }

  /// The same, and nobody hears of what it does.
  [[nodiscard]] server unobserved() const {
    server copied = *this;
    copied.on_statement_ = [](int, const std::string&) {};
    return copied;
  }

  /// Bytes of a client's, or of the lodge's on behalf of one.
  void receive(std::string_view bytes, int client);
  /// Takes the next message, if there is a whole one, and answers it; the answer may be nothing.
  std::string take_one();

  /// What comes after so many messages fails.
  void fail_after(unsigned messages) { fails_in_ = messages + 1; }
  /// It ended the connection.
  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] bool has_message() const { return !gone_ && !before_it_.empty(); }
  [[nodiscard]] char next() const { return before_it_.front().type; }
  [[nodiscard]] bool at_boundary() const { return unread_.empty(); }
  /// What is before it needs no answer, and goes by whoever says something next.
  [[nodiscard]] bool owes_nothing() const;
  /// Outside a transaction, and it waits for a message that begins something.
  [[nodiscard]] bool idle() const { return block_ == block::none && copying_ == copy::no && !skips_ && !unsynced_; }
  [[nodiscard]] bool copies() const { return copying_ != copy::no; }
  [[nodiscard]] bool skips() const { return skips_; }
  [[nodiscard]] bool failed() const { return block_ == block::failed; }
  [[nodiscard]] bool needs_sync() const { return unsynced_ || skips_; }
  /// Something lives in the session.
  [[nodiscard]] bool pinned() const;
  /// All of what a statement's result could depend on.
  [[nodiscard]] std::string state() const;

 private:
  struct message {
    char type;
    std::string body;
    int client;
  };
  struct prepared {
    statement_ptr what;  // null: an empty text
    bool by_sql = false;
    bool rows = false;
  };
  struct portal {
    statement_ptr what;
    std::size_t level = 0;  // of savepoints, when it was made
    bool rows = false;
    bool done = false;
  };
  struct savepoint {
    std::string name;
    session then;
  };
  struct failure {
    std::string_view code;
    std::string message;
  };
  using result = std::optional<failure>;
  enum class block : std::uint8_t { none, started, implicit, begins, in_progress, ends, failed, aborts };
  enum class copy : std::uint8_t { no, simple, extended };

  // protocol.cpp's half
  std::string fail(const failure& why);
  std::string ready();
  std::string simple(const std::string& text);
  std::string go_on_simple();
  std::string parse(const std::string& body);
  std::string bind(const std::string& body);
  std::string describe(const std::string& body);
  std::string execute(const std::string& body);
  std::string complete_execute(const statement& what, std::string answer);
  std::string close(const std::string& body);
  std::string call(const std::string& body);
  std::string copy_message(const message& what);

  // of transactions
  void start();
  void finish();
  void abort();
  void commit();
  void roll_back();
  result transact(const statement& what);

  // of statements
  result run(const statement& what, std::string& answer, std::string& tag, bool shows_rows, bool alone);
  result run_select(const statement& what, std::string& answer, bool shows_rows);
  result evaluate(const item& what, std::optional<std::string>& value);
  result set(std::string_view name, const std::optional<std::string>& value, bool local);
  result analyse(const statement& what) const;
  [[nodiscard]] bool returns_rows(const statement& what) const;
  [[nodiscard]] std::string description(const statement& what) const;
  std::string every_setting();
  void discard_all();

  defaults start_;
  observer on_statement_;
  std::string unread_;
  std::deque<message> before_it_;
  int client_ = -1;  // of the message at hand

  unsigned resets_ = 0;
  session now_, began_;
  std::vector<savepoint> savepoints_;
  block block_ = block::none;
  bool pipelining_ = false, commits_at_once_ = false;

  std::unordered_map<std::string, prepared> prepared_;  // the unnamed one is called ""
  std::unordered_map<std::string, portal> portals_;
  std::optional<portal> set_aside_;  // a client's unnamed one
  int locks_ = 0;
  std::string reported_;

  std::vector<statement_ptr> texts_;  // of the simple query at hand
  std::size_t text_ = 0;
  statement_ptr copied_by_;
  copy copying_ = copy::no;
  bool extended_ = false, skips_ = false, unsynced_ = false, gone_ = false;
  unsigned fails_in_ = 0;  // 1: the next one; 0: none
};

}  // namespace fuzz_model
