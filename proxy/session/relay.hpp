// The relay: two pumps that carry bytes between a client and its server, as they are.
//
// Each pump waits until its source is readable, reads into the worker's scratch, lets the traffic tracker look at
// the headers, and writes to the other side at once. What the other side does not take is set aside, at most one
// scratch full, and the source is not read until it is gone: memory does not grow with results, and whoever is
// slow slows down its own peer only. Nothing is allocated per message.
//
// A client that has said all it will say (half-close) is passed on as that: the server may still be answering. Where
// the server is kept for others, neither that nor the client's goodbye reaches it once it has answered everything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/session/session_meter.hpp"
#include "proxy/session/traffic_tracker.hpp"
#include "proxy/transport.hpp"

namespace proxy {

class worker;

/// Why a relay ended.
enum class relay_end {
  none,           ///< it runs
  client_left,    ///< the client said goodbye or closed, and the server has finished
  client_lost,    ///< the client's connection broke
  server_closed,  ///< the server closed first
  server_lost,    ///< the server's connection broke
  client_fault,   ///< the client sent what the protocol forbids; `fault` says what
  server_fault,   ///< the server did
  told_to_leave,  ///< by `leave_when_idle` or `leave_now`
};

class relay {
 public:
  /// All must outlive `run`; `limits` are the tenant's, whatever they become (others' the meter knows).
  /// `ended` hears how long a round took, and its text as far as it is known, while statements are to be logged.
  /// `server_after`: what becomes of the server's session when the client leaves.
  enum class server_after : std::uint8_t { ends, stays };
  using round_ended = std::function<void(clock::duration took, std::string_view text)>;
  relay(worker& home, transport& client, transport& server, session_meter& meter, const routing::limits& limits,
        server_after after, round_ended ended);

  /// Carries bytes until one side ends. `early_client` and `early_server` are what each side sent before the relay
  /// began, from a message boundary on. `keep_alive` is held by both pumps: it must own this relay.
  task<relay_end> run(std::string early_client, std::string early_server, std::shared_ptr<void> keep_alive);

  /// Whether the relay shall end as soon as the session is outside a transaction with nothing outstanding, which
  /// may be now.
  void leave_when_idle(bool leave);
  void leave_now() { finish(relay_end::told_to_leave); }
  /// A cancel request of the lodge's own is on its way as long as `is_on_its_way` says: what the client says next is
  /// not passed on before, or the request could hit it instead.
  void hold_client_while(std::function<bool()> is_on_its_way) { held_while_ = std::move(is_on_its_way); }
  /// Tells the tenant's account what was used.
  void settle_account(clock::time_point now) { meter_.settle(traffic_.tally(), limits_, now); }
  /// To be called now and then: repeats a cancellation that found nothing to cancel because the wait had just ended.
  void on_tick();

  /// What its client says is not read now: its tenant has used up its rates.
  [[nodiscard]] bool pausing() const { return pausing_since_.has_value(); }
  [[nodiscard]] std::optional<clock::time_point> pausing_since() const { return pausing_since_; }
  [[nodiscard]] const traffic_tracker& traffic() const { return traffic_; }
  [[nodiscard]] const std::optional<traffic_fault>& fault() const { return fault_; }
  /// Whether what is written now would start at a message boundary.
  [[nodiscard]] bool client_stream_whole() const { return !client_write_cut_ && traffic_.server_at_boundary(); }
  [[nodiscard]] bool server_stream_whole() const { return !server_write_cut_ && traffic_.client_at_boundary(); }
  /// When it has ended: the client has left, and the server knows nothing of it and owes nothing.
  [[nodiscard]] bool server_is_free() const;

 private:
  struct direction;
  task<void> pump(const direction& way, std::string early);
  task<bool> pass_on(const direction& way, std::string bytes);
  task<bool> write_aside(const direction& way, const std::string& bytes);
  task<void> keep_pace();
  task<void> outwait_cancel();
  void follow_rounds();
  bool settle(const direction& way, const traffic_tracker::verdict& verdict);
  std::size_t without_goodbye(const direction& way, std::span<const std::byte> accepted);
  void on_end_of(const direction& way);
  void on_loss_of(const direction& way);
  void finish(relay_end how);
  [[nodiscard]] bool client_gone() const { return client_closed_ || traffic_.client_terminated(); }

  worker& home_;
  transport& client_;
  transport& server_;
  traffic_tracker traffic_;
  std::optional<traffic_fault> fault_;
  relay_end end_ = relay_end::none;
  session_meter& meter_;
  const routing::limits& limits_;
  const server_after after_;
  const round_ended round_ended_;
  bool goodbye_withheld_ = false;
  bool server_told_ = false;  ///< that its session ends
  bool leave_when_idle_ = false;
  std::optional<clock::time_point> pausing_since_;
  std::function<bool()> held_while_;  ///< empty: its client is not held
  bool client_closed_ = false;
  bool client_write_cut_ = false;  ///< a write to the client was begun and is not finished
  bool server_write_cut_ = false;
  bool to_client_done_ = false;
  timer* joining_ = nullptr;
};

}  // namespace proxy
