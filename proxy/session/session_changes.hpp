// What a client's statements do to what its session stands for: which may run, what is to be asked of the server after
// the transaction, and what the session's state has become. Pure: verdicts and inventories go in.
//
// The server's defaults are not the session's: a connection is shared, so RESET at the server falls back to nothing of
// the session's start. What a reset has to be followed by is told by `restores`.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error_response.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/statement.hpp"
#include "proxy/seldom.hpp"
#include "proxy/session/answers.hpp"
#include "proxy/session/guard.hpp"
#include "proxy/session/inventory.hpp"
#include "proxy/session/statement_tools.hpp"
#include "routing/route.hpp"
#include "routing/session_state.hpp"

namespace proxy {

/// What a session is taken for until its tenant or its route changes.
struct session_terms {
  std::string tenant;
  routing::session_state_ptr start;  ///< what RESET and DISCARD ALL come back to
  session_guard guard;
  bool refuses_pins = false;
  routing::prepare_mode prepare = routing::prepare_mode::repeated;
};
using session_terms_ptr = std::shared_ptr<const session_terms>;  ///< shared by those who came in alike

class session_changes {
 public:
  /// `tools` must outlive it.
  explicit session_changes(statement_tools& tools);

  /// Whose session it is from now on. What the client had set itself since its start goes on being set.
  void set_terms(session_terms_ptr terms);
  /// What it stood for before is what it stands for again, by the same terms.
  void put_back(routing::session_state_ptr state) { state_ = std::move(state); }
  [[nodiscard]] const session_terms& terms() const { return *terms_; }
  [[nodiscard]] const routing::session_state_ptr& state() const { return state_; }
  [[nodiscard]] pin_set pins() const { return pins_; }
  /// What it keeps its connection for where that is not allowed (0A000), or what the guard would not have let it do and
  /// a connection that it keeps would go on with (42501).
  [[nodiscard]] std::optional<pgwire::error_report> forbidden() const;
  /// The last answer had what the guard would not have let it do: what the connection wears is not known.
  [[nodiscard]] bool strayed() const { return strayed_.has_value(); }
  /// This transaction may have changed how statements are read: `state` is not what is in force.
  [[nodiscard]] bool dirty() const { return dirty_; }
  /// The server has reported another value of this setting, and the transaction goes on.
  void reported(std::string_view setting);
  /// Counts what may have made prepared statements stale: changes of the schema that everybody sees.
  [[nodiscard]] std::uint64_t schema_generation() const {
    return tools_.schema_generation.load(std::memory_order_relaxed);
  }
  /// Likewise of the session's temporary objects.
  [[nodiscard]] std::uint64_t temporary_generation() const { return temporary_generation_; }
  /// What the session has set itself. O(settings).
  [[nodiscard]] std::size_t held_bytes() const;
  /// Something may have happened that no text shows.
  [[nodiscard]] bool unseen() const { return every_setting_due_; }

  /// Before a statement runs. `values`: of its parameters, null if it has none or they are not known. `executed`: the
  /// verdicts on statements that it runs by EXECUTE, as far as they are known. Gives the guard's refusal, nothing,
  /// or that of a place that allows no pins (0A000), or of a setting's name that could not be said again (0A000), or of
  /// too many settings (54000).
  std::optional<pgwire::error_report> note(const pgwire::verdict& verdict, const pgwire::frontend::bind* values,
                                           std::span<const pgwire::verdict* const> executed = {});
  /// In which encoding the next statement's text and values are, and the database; and the server's
  /// standard_conforming_strings, as far as they are known.
  void reads_in(std::string_view client, std::string_view database, std::string_view conforming_strings);
  /// Whether the server may read the text otherwise than it was read here.
  [[nodiscard]] bool doubts(const pgwire::verdict& verdict) const;

  [[nodiscard]] bool is_guarded() const { return terms_->guard.is_on(); }
  /// Whether the statement takes settings back to their defaults.
  [[nodiscard]] static bool resets(const pgwire::verdict& verdict);
  /// What puts the session's own start in the place of the server's defaults, after such a statement.
  [[nodiscard]] std::vector<routing::dress_step> restores(const pgwire::verdict& verdict) const;
  /// The text of several statements, each that resets followed at once by what restores; `put_in` is told what was.
  /// Nothing: it would be too long.
  [[nodiscard]] std::optional<std::string> with_restores(std::string_view text, const pgwire::verdict& verdict,
                                                         std::vector<put_in>& put_in) const;

  /// DISCARD ALL has been done: the session stands for its start again.
  void discarded();
  /// The transaction is over.
  void transaction_ended();
  /// Nothing of what was noted has happened, and the connection is gone with all it held.
  void nothing_happened();

  /// Whether the server is to be asked.
  [[nodiscard]] bool due() const { return due_ || !touched_.empty(); }
  /// What to ask; after that nothing is due.
  [[nodiscard]] inventory_request take_request();
  /// What to ask instead when that failed with this SQLSTATE: a client's statement_timeout or a late cancel request may
  /// have hit it, or a setting that the session may not read, or whose name is no text, and which it therefore has not
  /// set. Nothing: it is of no use.
  [[nodiscard]] std::optional<inventory_request> ask_again(inventory_request failed, std::string_view sqlstate) const;
  /// The answer, to a question about these pins. `superuser`: whether the session may set what only superusers may.
  /// What the guard would not have let it do is not taken: see strayed.
  void take(const inventory& found, pin_set asked, bool superuser);

 private:
  void note_traits(const pgwire::verdict& verdict, bool unseen);
  [[nodiscard]] bool are_too_many(std::span<const std::string> names) const;
  void note_setting(std::string name);

  statement_tools& tools_;
  session_terms_ptr terms_;  // null: not yet set
  routing::session_state_ptr state_;
  pin_set pins_;
  seldom<pgwire::error_report> strayed_;
  bool dirty_ = false;
  bool scanning_dirty_ = false;  // and where a text's characters and constants end
  bool schema_changed_ = false;  // by this transaction
  std::uint64_t temporary_generation_ = 0;

  std::vector<std::string> touched_;  // settings that this transaction may have changed
  pin_set pins_due_;
  bool due_ = false;
  bool every_setting_due_ = false;
  bool speaks_as_database_ = true, two_faced_ = false, plain_ = true;  // see reads_in
};

}  // namespace proxy
