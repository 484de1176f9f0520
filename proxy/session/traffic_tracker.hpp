// What the bytes that pass between a client and its server mean for the session: sans I/O, fed with both streams.
//
// The server is the judge: its ReadyForQuery says whether a transaction is open, and how many are still to come is
// counted from what the client sent. It answers three questions: may these bytes be passed on, is the session idle
// outside a transaction, and would the client understand a message of ours now.
//
// The counting follows the protocol chapter (PostgreSQL docs, 55.2): Query and FunctionCall are answered by one
// ReadyForQuery each, so is Sync, except that a server that takes COPY data swallows the Syncs that came before its
// end (55.2.6: "the backend ignores Flush and Sync messages received during copy-in"). Where the count could be
// wrong it errs towards "busy".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "protocol/frame_scanner.hpp"
#include "proxy/desk/traffic_tally.hpp"
#include "proxy/pool/parameters.hpp"
#include "proxy/session/statement_round.hpp"
#include "proxy/session/time_limits.hpp"
#include "proxy/session/traffic_fault.hpp"

namespace proxy {

class traffic_tracker {
 public:
  traffic_tracker();

  struct verdict {
    std::size_t forward = 0;  ///< how many bytes of the chunk may be passed on, from its start
    std::optional<traffic_fault> fault;
  };
  verdict from_client(std::span<const std::byte> chunk);
  verdict from_server(std::span<const std::byte> chunk);

  /// Outside a transaction, every answer given, neither stream in the middle of a message.
  [[nodiscard]] bool idle() const;
  /// The server sent an ErrorResponse of severity FATAL or PANIC: it is about to close.
  [[nodiscard]] bool server_said_fatal() const { return server_said_fatal_; }
  /// The client sent Terminate.
  [[nodiscard]] bool client_terminated() const { return client_terminated_; }
  [[nodiscard]] bool server_at_boundary() const { return server_.at_boundary(); }
  [[nodiscard]] bool client_at_boundary() const { return client_.at_boundary(); }
  /// What the server has reported of its settings, null if nothing; it is all, unless something was malformed, too long
  /// or too much.
  [[nodiscard]] const parameter_map* reported() const { return reported_.get(); }
  [[nodiscard]] bool all_reported_known() const { return all_reported_known_; }

  /// What it has seen since somebody took it.
  [[nodiscard]] desk::traffic_tally& tally() { return tally_; }
  [[nodiscard]] traffic_moment moment() const;
  /// Which round the server is at, and its text while that is watched; see statement_round. Of one whose statements
  /// were prepared before there is none.
  [[nodiscard]] const statement_rounds& rounds() const { return rounds_; }
  [[nodiscard]] round_text& shown() { return shown_; }
  void watch(bool wanted);

 private:
  void client_message(const pgwire::frame& frame);
  void server_message(const pgwire::frame& frame);
  void note_report(const pgwire::frame& frame);

  pgwire::frame_scanner client_;
  pgwire::frame_scanner server_;
  std::uint32_t queries_pending_ = 0;  ///< Query and FunctionCall messages not yet answered
  std::uint32_t syncs_pending_ = 0;    ///< Sync messages not yet answered
  std::uint32_t executes_pending_ =
      0;                    ///< Execute messages not yet answered, as far as the server may be busy with them
  char transaction_ = 'I';  ///< as the last ReadyForQuery said: I, T or E; T since a CopyInResponse
  bool unsynced_ = false;   ///< extended-protocol messages went out after the last Sync
  bool copy_in_ = false;    ///< the server takes COPY data now
  bool server_said_fatal_ = false;
  bool client_terminated_ = false;
  bool all_reported_known_ = true;
  std::unique_ptr<parameter_map> reported_;  ///< few sessions change such a setting
  desk::traffic_tally tally_;
  statement_rounds rounds_;
  round_text shown_;
  std::uint32_t transactions_ = 0, steps_ = 0;  ///< see traffic_moment
};

}  // namespace proxy
