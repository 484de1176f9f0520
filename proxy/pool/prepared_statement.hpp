// Protocol-level prepared statements, apart from the connection they happen to be prepared on.
//
// A client's statement is a value: text and parameter types. Where it is prepared is a matter of the server connection
// it runs on at the moment, under a name of the lodge's own. Two clients that prepare the same text share one prepared
// statement only while they wear the same state, because parsing and planning depend on it (search_path, role,
// DateStyle: CVE-2023-2455).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/byte_reader.hpp"
#include "protocol/statement.hpp"

namespace proxy {

/// What a Parse message asks for. Immutable and shared.
struct prepared_statement {
  std::string text;
  std::vector<std::uint32_t> parameter_types;      ///< OIDs; may be fewer than the text has parameters
  std::shared_ptr<const pgwire::verdict> verdict;  ///< null: it does nothing to its session
  std::uint64_t hash = 0;                          ///< of text and types
  std::string encoding;                            ///< which the text is in, if it is not ASCII
  bool tells_time = false;                         ///< it may hold a time that is read when it is parsed: 'now'
  bool may_copy = false;                           ///< see pgwire::may_ask_for_data

  friend bool operator==(const prepared_statement& a, const prepared_statement& b) {
    return a.hash == b.hash && a.text == b.text && a.parameter_types == b.parameter_types && a.encoding == b.encoding;
  }
};
using statement_ptr = std::shared_ptr<const prepared_statement>;

/// Equal statements of one worker's clients are one object, as long as somebody holds it. For one thread.
class statement_store {
 public:
  /// `encoding`: which the text is in; empty if it is ASCII.
  statement_ptr share(std::string_view text, std::vector<std::uint32_t> types,
                      std::shared_ptr<const pgwire::verdict> verdict, std::string_view encoding);

 private:
  void sweep();

  std::unordered_multimap<std::uint64_t, std::weak_ptr<const prepared_statement>> known_;
  std::size_t sweep_at_ = 1024;
};

/// What is prepared on one server connection: under which name, made in which state. Moves with the connection.
class server_statements {
 public:
  /// At most this many named ones.
  static constexpr std::size_t most = 500;

  /// One that is prepared at the server.
  struct prepared {
    std::string name;                    ///< at the server
    std::optional<std::uint64_t> shape;  ///< of its result, once it is known: see `shape_of`
    bool went_stale = false;             ///< good for those who have it, but for nobody new
  };

  /// It when parsed in the state of this fingerprint; null: it is not there. Counts as use.
  const prepared* find(const statement_ptr& statement, std::uint64_t state);
  void set_shape(std::string_view name, std::uint64_t shape);
  void set_stale(std::string_view name);

  /// Gives it a name, which the caller prepares. An equal one that was there is to be closed, and so is the one unused
  /// for longest if there are too many: see `take_unwanted`.
  const std::string& add(const statement_ptr& statement, std::uint64_t state);
  /// The preparing came to nothing, or it is known to be stale.
  void remove(std::string_view name);
  /// All of it is to be closed: see `take_unwanted`.
  void retire();
  /// The server closes all of it (DEALLOCATE ALL, DISCARD ALL). What is to be closed still is: it may have come later.
  void clear();

  /// Names that are to be closed at the server now.
  std::vector<std::string> take_unwanted() { return std::exchange(unwanted_, {}); }
  void unwanted(std::string name) { unwanted_.push_back(std::move(name)); }
  [[nodiscard]] bool has_unwanted() const { return !unwanted_.empty(); }

  /// What the unnamed statement is now; null: none, or nobody's.
  statement_ptr unnamed;
  /// Whether there may be an unnamed statement that is not `unnamed`.
  bool unnamed_unknown = false;

 private:
  struct key {
    statement_ptr statement;
    std::uint64_t state = 0;
    friend bool operator==(const key& a, const key& b) {
      return a.state == b.state && (a.statement == b.statement || *a.statement == *b.statement);
    }
  };
  struct key_hash {
    std::size_t operator()(const key& of) const { return of.statement->hash ^ (of.state * 0x9E3779B97F4A7C15U); }
  };
  struct entry : prepared {
    key what;
  };

  std::list<entry> by_use_;  ///< the one used last comes first
  std::unordered_map<key, std::list<entry>::iterator, key_hash> by_key_;
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_name_;
  std::vector<std::string> unwanted_;
  std::uint64_t next_ = 1;
};

/// Whether the lodge may call a statement so at a server.
bool is_reserved_name(std::string_view name);

/// What makes a result's description the same to PostgreSQL (equalTupleDescs): names, types and their modifiers, of a
/// RowDescription's body; of NoData (an empty body) another number.
std::uint64_t shape_of(pgwire::byte_view row_description);

}  // namespace proxy
