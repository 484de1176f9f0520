// What a statement does to the session it runs in: which settings it may change, what the session may own afterwards
// or may have lost. A few words are looked for in every text; only where one stands does PostgreSQL's own parser read
// it.
//
// The server stays the judge of what really happened, and is asked at the transaction's end for the present values of
// what was touched. So everything here says what a statement *may* do: to report too much costs a question, to report
// too little would leave one client's state to the next. What no parser can see, the inside of functions, is not seen
// here either: a view's rule, a default, a trigger or a user's own function may call set_config().
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgwire {

/// Where a value given by a statement comes from.
struct operand {
  enum class source : std::uint8_t { constant, bound, unknown };
  source from = source::unknown;
  std::string text;             ///< constant: as the setting would take it, strings unquoted, numbers as written
  std::uint16_t parameter = 0;  ///< bound: n of $n
  bool by_any_type = false;     ///< behind a cast to a type of which only the name is known: what it makes of it is not

  bool operator==(const operand&) const = default;
};

/// One setting that a statement may change.
struct setting_change {
  /// A constant in the form of canonical_setting_name, unless set_config() is given something else.
  operand name;
  /// One per list item of SET a = x, y; exactly one for set_config() and SET x FROM CURRENT; none: back to the default
  /// (RESET x, SET x TO DEFAULT, set_config(x, NULL, ..)).
  std::vector<operand> values;
  /// SET LOCAL, set_config(.., true), and transaction_isolation and its like, which end with their transaction anyway.
  /// An is_local that is no constant counts as false.
  bool local = false;
  bool called = false;          ///< by set_config(), which may stand where it runs at another time, or more than once
  std::uint32_t statement = 0;  ///< index into verdict::statements

  bool operator==(const setting_change&) const = default;
};

/// What the session may own afterwards, or may have lost.
enum class trait : std::uint8_t {
  reset_all,           ///< RESET ALL, DISCARD ALL
  discard_all,         ///< DISCARD ALL, which brings everything along that it consists of, down to `drops`
  prepared,            ///< PREPARE, EXECUTE, DEALLOCATE
  deallocate_all,      ///< DEALLOCATE ALL, DISCARD ALL
  listening,           ///< LISTEN, UNLISTEN
  temporary,           ///< anything TEMPORARY, any mention of pg_temp, DISCARD TEMP
  hold_cursor,         ///< DECLARE .. WITH HOLD, CLOSE
  advisory_lock,       ///< pg_advisory_lock() and its kin, taking and giving back; not those of a transaction
  load,                ///< LOAD
  random_seed,         ///< SET SEED, setseed()
  reads_sequence,      ///< currval(), lastval()
  discards_sequences,  ///< DISCARD SEQUENCES
  discards_plans,      ///< DISCARD PLANS
  drops,               ///< DROP .., DISCARD TEMP: may end a temporary object
  defines,             ///< any DDL, SELECT INTO too. CREATE without a schema is temporary where search_path begins so
  lingering,           ///< what else functions leave in a server process and nobody can ask for: dblink_connect(),
                       ///< replication slots (temporary ones), pg_backup_start(), replication origins
  keeps,             ///< takes something of these that stays after the transaction: PREPARE, LISTEN, a temporary table
                     ///< that is not ON COMMIT DROP, pg_advisory_lock(); not what gives it back
  unseen,            ///< DO, CALL, functions that run a text, set_config() of a computed name, UPDATE pg_settings
                     ///< (which is a setting of unknown name, too), a text that is hit and cannot be read, and all
                     ///< that is ambiguous
  ambiguous,         ///< the text can be read in two ways, with different effects or different statements
  plain_only,        ///< it could be read only with standard_conforming_strings = on
  escaped_only,      ///< it could be read only with standard_conforming_strings = off
  two_faced,         ///< a backslash follows a byte that is not ASCII: in some encodings it is the half of a character
  only_sets,         ///< every statement is SET, RESET or DISCARD ALL
  begins,            ///< BEGIN, START TRANSACTION
  ends_transaction,  ///< COMMIT, END, ROLLBACK, ABORT, PREPARE TRANSACTION; none for savepoints
  session_identity,  ///< role or session_authorization is set or reset; it stands among the settings too
};

/// A set of traits.
class trait_set {
 public:
  constexpr trait_set() = default;
  constexpr trait_set(std::initializer_list<trait> list) {
    for (const auto one : list) add(one);
  }

  constexpr void add(trait one) { bits_ |= bit(one); }
  constexpr void add(trait_set more) { bits_ |= more.bits_; }
  [[nodiscard]] constexpr bool has(trait one) const { return (bits_ & bit(one)) != 0; }
  [[nodiscard]] constexpr bool has_any(trait_set some) const { return (bits_ & some.bits_) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  [[nodiscard]] constexpr trait_set without(trait_set less) const {
    trait_set rest;
    rest.bits_ = bits_ & ~less.bits_;
    return rest;
  }
  constexpr bool operator==(const trait_set&) const = default;

 private:
  static constexpr std::uint32_t bit(trait one) { return std::uint32_t{1} << static_cast<unsigned>(one); }

  std::uint32_t bits_ = 0;
};

/// What a text of one or more statements may do to its session.
struct verdict {
  /// Bytes of the text, without the semicolon; blanks and comments in front of the statement are included.
  struct span {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    bool operator==(const span&) const = default;
  };

  std::vector<span> statements;  ///< in order; none if the text was not read, or not all that it means was found;
                                 ///< only one reading's if `ambiguous`
  std::vector<setting_change> settings;  ///< in the order in which they are written
  std::vector<std::string> prepares;     ///< names of PREPARE; what its body may do is reported here, once
  std::vector<std::string> executes;     ///< names of EXECUTE, under EXPLAIN and CREATE TABLE AS too
  std::vector<std::string> deallocates;  ///< names of DEALLOCATE
  std::vector<std::uint16_t> repeated;   ///< n of each $n that is mentioned more than once, in order
  trait_set traits;

  /// Nothing of it matters to the session once its transaction is over.
  [[nodiscard]] bool harmless() const;

  bool operator==(const verdict&) const = default;
};

/// A cheap look: false only for a text in which the parser would find nothing but the begin and end of transactions.
/// Holds for either value of standard_conforming_strings and for any client_encoding of PostgreSQL.
bool may_matter(std::string_view text);

/// Whether a server may ask for COPY data while it runs this text. A cheap look: false only if there cannot be a COPY
/// FROM STDIN in it, or STDOUT, which the grammar takes for the same there. No function's body may have one, nor may
/// PREPARE (PostgreSQL docs, COPY; PREPARE). Holds for any client_encoding.
bool may_ask_for_data(std::string_view text);

/// The verdict on a text. A text that may_matter() refuses gets an empty one.
verdict judge(std::string_view text);

/// What the parser finds, whether a word is hit or not; nothing if it cannot read the text, or is not asked to because
/// the text is too long or too deep for a worker's time and stack. judge() without its first half, for tests.
std::optional<verdict> read_statements(std::string_view text);

}  // namespace pgwire
