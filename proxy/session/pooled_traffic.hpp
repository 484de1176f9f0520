// What passes between a client and whichever server connection it has on loan: sans I/O, fed with both streams.
//
// It answers: may this be forwarded, and changed into what; does it need a lease; may the lease end. What the session
// stands for is kept by session_changes. The files: the lease (this one's), how its connection comes to wear that
// (_dressing), and what lies between two transactions (_settling); the client's stream (_client), its pipelines
// (_pipeline) and what it says of its tenant (_tenant); the server's stream (_server) and its errors (_errors); and,
// between them, the client's prepared statements at whichever server (_statements), and under the names that SQL calls
// them by (_names).
//
// Two ideas carry it.
//
// Every message that a server answers is remembered in order, with whose it is. So answers can be left out (the
// lodge's own statements), put in (for what the lodge need not ask), or changed, and nothing has to be guessed: an
// error drops what the server skips up to the next Sync, and undoes what was assumed of it.
//
// The server is the judge. What a statement may do to its session is known from its text; what it did is asked of the
// server when the transaction has ended (an inventory), on the same connection, before anybody else may have it. So
// savepoints, rollbacks, errors, functions and whatever PostgreSQL will think of next need no rules here.
//
// Fail closed: a connection that must be dressed is, together with the client's first statement, in one go:
//
//     BEGIN   SELECT set_config() ...   COMMIT   the client's statement
//
// Ours by Parse, Bind and Execute. Without a Sync in between, an error in the dressing makes the server skip everything
// up to the next Sync, the COMMIT and the client's statement included. What the client sends beyond its first Sync or
// Query waits until the dressing is known to have succeeded. Where the connection wears what could end the dressing or
// keep it waiting, all is taken off first, and the answer waited for. Nothing makes the server answer before the
// client's message does, so a change of clothes costs no packet of its own. Where no message follows, an empty Query
// commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/error_response.hpp"
#include "protocol/frame_cutter.hpp"
#include "protocol/frontend_messages.hpp"
#include "proxy/desk/traffic_tally.hpp"
#include "proxy/pool/server_session.hpp"
#include "proxy/seldom.hpp"
#include "proxy/session/answers.hpp"
#include "proxy/session/byte_run.hpp"
#include "proxy/session/client_statements.hpp"
#include "proxy/session/copying.hpp"
#include "proxy/session/dressing.hpp"
#include "proxy/session/inventory.hpp"
#include "proxy/session/portals.hpp"
#include "proxy/session/session_changes.hpp"
#include "proxy/session/statement_round.hpp"
#include "proxy/session/statement_tools.hpp"
#include "proxy/session/tenant_change.hpp"
#include "proxy/session/tenant_speech.hpp"
#include "proxy/session/time_limits.hpp"
#include "proxy/session/traffic_fault.hpp"
#include "routing/session_state.hpp"

namespace proxy {

class pooled_traffic {
 public:
  /// `tools` must outlive it. `session`: a number that no other session has.
  pooled_traffic(std::uint64_t session, statement_tools& tools);

  /// Whose session it is from now on; see session_changes.
  void set_terms(session_terms_ptr terms) { changes_.set_terms(std::move(terms)); }

  // --- the client's stream ---

  /// Who the session is by its login.
  void begin_speech(const routing::identity& login) { speech_.begin(login); }
  /// The hints in force from now on; see tenant_speech.
  void listen_to(session_hints_ptr hints, bool waits) { speech_.listen_to(std::move(hints), waits); }
  /// After names_tenant: whose place the message at hand is to run at.
  [[nodiscard]] const routing::tenant_id& named() const { return move_->what.now; }
  [[nodiscard]] bool moves() const { return move_ != nullptr; }
  /// It may, and the session is that tenant's: at the latest until the statement has failed.
  void go_along(session_terms_ptr terms);
  /// The tenant that the session has to become before anything else runs: the statement that named it has come to its
  /// end.
  [[nodiscard]] const routing::tenant_id* due() const { return due_ ? &due_->tenant : nullptr; }
  void become_due(session_terms_ptr terms);

  enum class step {
    starved,       ///< everything the client sent has been dealt with
    over,          ///< the server has nothing to do any more: `end_lease`, then go on
    names_tenant,  ///< the message at hand names another tenant: `go_along` or `refuse` first
    needs_lease,   ///< `begin_lease` or `refuse` first
    waits,         ///< for the server, see `from_server`
    full,          ///< what is in `to_server` is to be sent first
    terminated,    ///< the client said goodbye
    fault,         ///< it sent what the protocol forbids: `fault`
  };
  /// The next bytes of the client; they must stay until `keep_client`, or until `advance` says starved.
  void feed_client(std::span<const std::byte> chunk) { client_.feed(chunk); }
  void keep_client() { client_.keep(); }
  /// Whether somebody else is to have his turn: what was sent is finished, and nothing more begun before that.
  void make_room(bool wanted) { makes_room_ = wanted; }
  /// Frees what was kept, once it has been sent.
  void release_client() { client_.release(); }
  /// Deals with as much as can be dealt with now.
  step advance(byte_run& to_server, byte_run& to_client);
  /// Instead of a lease, or of another tenant: the message at hand comes to nothing, as if the server had said this
  /// (with severity ERROR).
  void refuse(pgwire::error_report why, byte_run& to_server, byte_run& to_client);
  [[nodiscard]] const std::optional<traffic_fault>& fault() const { return fault_; }
  /// Nothing is to be expected from the server, whatever the client left open.
  [[nodiscard]] bool answered() const { return answers_.empty(); }
  /// The server waits for the client: for a Sync, or for COPY data.
  [[nodiscard]] bool server_waits() const { return unsynced_ || copy_.is_open; }
  /// Outside a transaction with nothing outstanding; a pinned session counts as idle then.
  [[nodiscard]] bool idle() const;
  /// What it keeps of the client's messages, of its prepared statements, and of what it has set. O(statements +
  /// settings).
  [[nodiscard]] std::size_t held_bytes() const;
  /// In bytes, what has come of a message that must be whole before it is judged.
  [[nodiscard]] std::size_t gathered() const { return client_.gathered(); }
  /// The session is over: frees what its client has sent.
  void forget_client() { client_.forget(); }
  /// While idle: frees what is only kept for the next message.
  void keep_little() { answers_.keep_none(); }

  [[nodiscard]] bool client_at_boundary() const { return client_.at_boundary(); }

  // --- the lease ---

  /// `server` stays where it is until the lease ends. Puts on what must be worn first.
  void begin_lease(server_session& server, byte_run& to_server);

  enum class outcome {
    leased,      ///< it goes on
    over,        ///< the connection may serve somebody else: `end_lease`
    undressed,   ///< dressing failed, nothing of the client's ran: `begin_again` or `explain_undressed`, and close the
                 ///< connection
    forbidden,   ///< a function has pinned the session where `pool.pin: refuse` is, or taken it past the guard while it
                 ///< is pinned; or its settings are too large to be carried: see `forbidden`; close both
    lost_track,  ///< what the connection holds is not known any more: close it, and the session with it
  };
  /// The next bytes of the server. Also gives what the lodge has to say to the server itself.
  outcome from_server(std::span<const std::byte> chunk, byte_run& to_client, byte_run& to_server);
  void end_lease();
  /// A cancel request was sent to this lease's server: it may have hit what dresses, and then it stays at that.
  void note_cancel() { dressing_.cancel_came = true; }
  /// After undressed: the lease is gone, and what the client has said since it began is as if it were yet to be said.
  /// False, and nothing has changed: the connection was new, so that no other would do better, it was a cancel request,
  /// or too much was said.
  [[nodiscard]] bool begin_again();
  /// Until the next lease, which is to be of a new connection: the client waits for it already. If it cannot be had,
  /// `undressed_why` is why.
  [[nodiscard]] bool begins_again() const { return begins_again_; }
  /// After undressed: the lease is gone; tells the client, whose message came to nothing.
  void explain_undressed(byte_run& to_client);
  [[nodiscard]] bool leased() const { return server_ != nullptr; }
  /// Whether a message to the client could be put in now.
  [[nodiscard]] bool server_at_boundary() const {
    return server_ == nullptr || server_->incoming.at_boundary() || !reply_passes_;
  }
  [[nodiscard]] bool server_said_fatal() const { return server_said_fatal_; }
  /// The lease is over, and its connection as well, which is none of the client's business.
  [[nodiscard]] bool server_leaves() const { return server_leaves_; }

  // --- what is known of the session ---

  [[nodiscard]] const routing::session_state_ptr& state() const { return changes_.state(); }
  [[nodiscard]] pin_set pins() const { return changes_.pins(); }
  [[nodiscard]] std::optional<pgwire::error_report> forbidden() const;
  /// What the client has been told of its settings by ParameterStatus.
  [[nodiscard]] const parameters_ptr& told() const { return told_; }
  /// The client's greeting: from now on it hears of every change.
  void greet(parameters_ptr told) {
    told_ = std::move(told);
    greeted_ = true;
  }
  /// What it has seen since somebody took it.
  [[nodiscard]] desk::traffic_tally& tally() { return tally_; }
  [[nodiscard]] traffic_moment moment() const {
    return {leased() && !answers_.empty(), status_ != 'I' || (leased() && unsynced_), false, transactions_, steps_};
  }
  /// Which round the server is at, and its text; see statement_round.
  [[nodiscard]] const statement_rounds& rounds() const { return rounds_; }
  [[nodiscard]] round_text& shown() { return shown_; }
  /// The statement that runs is being cancelled for this reason, which the client is to hear instead of the server's.
  void explain_cancel(pgwire::error_report why) { cancelled_for_ = std::move(why); }
  /// Nobody had the connection before that could not be dressed.
  [[nodiscard]] bool undressed_when_new() const { return dressing_.of_new; }
  /// Why dressing failed the last time, as the server put it; null: it did not.
  [[nodiscard]] const pgwire::error_report* undressed_why() const {
    return undressed_why_ ? &*undressed_why_ : nullptr;
  }
  /// The statement at hand asks for what a sequence gave in this very session: only its last connection knows.
  [[nodiscard]] bool wants_last_connection();

 private:
  using expected = expected_answer;
  using kind = expected_answer::kind;
  using owner = expected_answer::owner;
  using on_skip = expected_answer::on_skip;

  step consider_all(byte_run& to_server, byte_run& to_client);
  void count_statement(const pgwire::frame_piece& piece);
  void tell_error(const pgwire::error_report& what, byte_run& to_client);
  [[nodiscard]] std::optional<step> consider(const pgwire::frame_piece& piece, byte_run& to_server,
                                             byte_run& to_client);
  // In pooled_traffic_tenant.cpp.
  enum class hearing { nothing_new, denied, too_early, elsewhere };
  hearing hear(const pgwire::frame_piece& piece, byte_run& to_server, byte_run& to_client);
  hearing hear_statement(const pgwire::verdict* verdict, const pgwire::frontend::bind* values,
                         const pgwire::frame_piece& piece, byte_run& to_server, byte_run& to_client);
  [[nodiscard]] static bool calls_harmless(const pgwire::frame_piece& piece);
  hearing hear_parse(const pgwire::frame_piece& piece, byte_run& to_server, byte_run& to_client);
  void deny(pgwire::error_report why, const pgwire::frame_piece& piece, byte_run& to_server, byte_run& to_client);
  [[nodiscard]] bool runs_what_names(const pgwire::verdict& verdict) const;
  void end_move(bool failed);

  [[nodiscard]] bool on_query(const pgwire::frame_piece& piece, byte_run& to_server);
  void forward_query(expected&& entry);
  void close_unnamed(expected& by);
  void on_parse(const pgwire::frame_piece& piece, byte_run& to_server);
  [[nodiscard]] bool on_bind(const pgwire::frame_piece& piece, byte_run& to_server);
  [[nodiscard]] bool on_describe(const pgwire::frame_piece& piece, byte_run& to_server);
  void on_execute(const pgwire::frame_piece& piece, byte_run& to_server);
  void on_close(const pgwire::frame_piece& piece, byte_run& to_server);
  void on_sync(const pgwire::frame_piece& piece, byte_run& to_server);
  void sync_sent();
  void on_function_call(const pgwire::frame_piece& piece, byte_run& to_server);
  void close_segment() {
    settling_ = changes_.due();
    if (move_) move_->ends = move_->sent;
    settle_barrier();
  }
  void settle_barrier() {
    settling_ = settling_ && !answers_.empty();
    barrier_ =
        dressing_.is_open() || restoring_ || preparing_ || settling_ || asking_ || due_ || (move_ && move_->ends);
  }

  void flush_server(byte_run& to_server);
  [[nodiscard]] bool behind_flush() const { return unsynced_ && flushed_ && !answers_.empty(); }
  std::optional<pgwire::error_report> note(const pgwire::verdict& verdict, const pgwire::frontend::bind* values,
                                           std::string_view encoding);
  [[nodiscard]] bool takes_reserved_name(std::string_view name, byte_run& to_server);
  void parse_at_server(const pgwire::frontend::parse& what, const statement_ptr& statement, expected&& entry,
                       byte_run& to_server);
  enum class random_seed : bool { stays, fresh };
  // A server tells what it did at a ReadyForQuery: its own, or that of the client's message, which is to follow.
  enum class reply : bool { at_once, with_the_clients };
  void undress(byte_run& to_server);
  void on_reset(byte_run& to_server);
  void change_clothes(byte_run& to_server);
  void put_on(const routing::session_state& worn, random_seed seed, reply when, byte_run& to_server);
  void dress(std::string_view sql, reply when, byte_run& to_server);
  void dressed();
  void not_dressed(const pgwire::error_fields* why, bool for_good);
  void refuse_at_server(pgwire::error_report why, bool simple, byte_run& to_server);
  struct readiness {
    std::string name;      // at the server
    bool waits = false;    // not known yet whether it still is what the client prepared
    bool changed = false;  // its result is not what the client prepared it for
  };
  [[nodiscard]] readiness have_prepared(client_statement& what, byte_run& to_server);
  [[nodiscard]] client_statement* known_as(std::string_view name);
  [[nodiscard]] statement_ptr statement_of(std::string_view name) const;
  void describe_at_server(const std::string& server_name, std::string client_name, byte_run& to_server);
  void on_shape(const pgwire::frame_piece& piece);
  void have_unnamed(byte_run& to_server);
  void have_under_own_names(const std::vector<std::string>& names, bool simple, byte_run& to_server);
  void have_under_own_name(const std::string& name, const prepared_statement& statement, bool simple,
                           byte_run& to_server);
  void forget_own_names(bool simple, byte_run& to_server);
  void close_own(const std::string& name, bool simple, byte_run& to_server);
  [[nodiscard]] std::vector<routing::dress_step> restores_after(const pgwire::verdict& verdict) const;
  void have_own_sequences(bool simple, byte_run& to_server);
  [[nodiscard]] std::string_view client_encoding() const { return told("client_encoding"); }
  [[nodiscard]] std::string_view encoding_of(std::string_view text) const;
  void texts_are_in(std::string_view encoding) {
    changes_.reads_in(encoding, told("server_encoding"), told("standard_conforming_strings"));
  }
  [[nodiscard]] std::string_view told(std::string_view parameter) const;
  [[nodiscard]] std::uint64_t clean_key() const;
  [[nodiscard]] std::uint64_t own_key(std::uint64_t number) const;
  [[nodiscard]] bool stands_alone(const prepared_statement& statement) const;
  void drop_alone(const client_statement& what);
  void run_hidden(std::string_view sql, owner whose, byte_run& to_server);
  void hidden_query(std::string_view sql, owner whose, byte_run& to_server);
  void close_unwanted(byte_run& to_server);

  outcome hear_server(std::span<const std::byte> chunk, byte_run& to_client, byte_run& to_server);
  void server_piece(const pgwire::frame_piece& piece, byte_run& to_client, byte_run& to_server);
  void on_executed(byte_run& to_server);
  void on_error(const pgwire::frame_piece& piece, byte_run& to_client);
  void on_ready(const pgwire::frame_piece& piece, byte_run& to_client, byte_run& to_server);
  void on_tag(const pgwire::frame_piece& piece);
  void end_round();
  void forget_names();
  void on_parameter(const pgwire::frame_piece& piece, byte_run& to_client);
  void on_copy_in();
  void send_held_syncs(byte_run& to_server);
  void on_inventory(byte_run& to_server);
  void settle(byte_run& to_server);
  void dress_again(byte_run& to_server);
  void ask(inventory_request what, int times, byte_run& to_server);
  void tell_parameters(byte_run& to_client);

  void push(expected&& what);
  expected& push(kind what);
  void give_answers(byte_run& to_client);
  void undo_names();
  void undo(const expected& entry, bool failed);
  void drop_skipped();

  // How often something of the lodge's own is tried that a timeout or a cancel request has hit. Who gives its
  // statements a millisecond gives ours no more, and a busy server may miss that many times in a row.
  static constexpr std::uint8_t most_cancelled = 200;

  const std::uint64_t session_;
  statement_tools& tools_;
  session_changes changes_;
  tenant_speech speech_;
  std::unique_ptr<tenant_change> move_;  // few sessions have one
  seldom<due_tenant> due_;
  parameters_ptr told_;
  pgwire::frame_cutter client_;
  server_session* server_ = nullptr;
  std::uint64_t client_before_ = 0;  // who had the connection before this lease

  dressing dressing_;
  copying copy_;
  seldom<pgwire::error_report> undressed_why_;  // outlives the lease
  seldom<first_words> first_words_;
  std::uint32_t counted_already_ = 0;  // of the statements to come: those that come again
  std::uint64_t last_alone_ = 0;       // see client_statement::parsed_as
  bool begins_again_ = false;

  expected_answers answers_;
  names_in_doubt naming_;

  char status_ = 'I';          // as the last ReadyForQuery said
  bool unsynced_ = false;      // extended-protocol messages went out after the last Sync
  bool skipping_ = false;      // after an error: the client's messages come to nothing up to its Sync
  bool flushed_ = false;       // a Flush went out after it, too
  bool rest_passes_ = false;   // of the client's message at hand: the server has its beginning, and must get it all
  bool reply_passes_ = false;  // of the server's
  seldom<std::string> behind_rest_;  // what the lodge has to say to the server once that is done
  bool query_failed_ = false;        // the simple query at hand has had an error
  bool ran_ = false;                 // something of the client's has run in this lease
  bool discarded_ = false;           // DISCARD ALL was done since the last settling
  bool untold_ = false;              // the server reported what the client is to hear before its next ReadyForQuery
  bool failed_ = false;              // the transaction at hand, as far as it was implicit, has come to nothing
  bool held_ = false;                // the client's first message of the lease waits for the dressing
  bool restoring_ = false;           // a client's ReadyForQuery is held until a restore is done
  bool preparing_ = false;           // a client's statement is being prepared again, and compared with what it was
  bool settling_ = false;            // what was sent may change what the next statement means
  bool barrier_ = false;             // nothing of the client goes out until the server has caught up
  bool makes_room_ = false;          // others wait: what is under way is to come to its end first
  bool over_ = false;
  bool server_leaves_ = false;  // it said so when the lease was over
  bool lost_track_ = false;
  bool forbidden_ = false;
  bool too_large_ = false;  // what the session has set
  bool server_said_fatal_ = false;
  bool greeted_ = false;

  client_statements named_;
  client_statement unnamed_;
  portals portals_;
  // By which the client's statements are at the server for the message at hand.
  seldom<std::vector<std::string>> own_names_;
  seldom<std::vector<routing::dress_step>> restore_after_;
  seldom<std::string> help_failed_;  // the server's ErrorResponse to what was to help the client's query at hand

  struct inventory_at_hand {
    inventory_query query;
    int times;                   // that it has been asked
    std::string failed_by = {};  // a SQLSTATE
  };
  seldom<inventory_at_hand> asking_;

  desk::traffic_tally tally_;
  std::uint32_t transactions_ = 0, steps_ = 0;  // see traffic_moment
  statement_rounds rounds_;
  round_text shown_;
  seldom<pgwire::error_report> cancelled_for_;

  std::optional<traffic_fault> fault_;
};

}  // namespace proxy
