// A session that has a server connection only while it needs one: the driver around `pooled_traffic`.
//
//   greet   tell the client what a server would: its parameters, a cancel key, that it may begin
//   wait    until the client says something
//   lease   a connection that wears the session's state, or will when the first bytes arrive
//   relay   until the traffic says that the lease may end
//   return  the connection
//
// Two coroutines meet here: the session's own reads the client, the connection's pump reads the server and calls
// `on_server`. Both run on the worker's thread; what neither side takes at once is set aside, and the source is not
// read until it is gone.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "protocol/login_fsm.hpp"
#include "proxy/bell.hpp"
#include "proxy/desk/log_line.hpp"
#include "proxy/pool/server_connection.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/seldom.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/message_reader.hpp"
#include "proxy/session/outbox.hpp"
#include "proxy/session/pooled_place.hpp"
#include "proxy/session/pooled_traffic.hpp"
#include "proxy/session/server_login.hpp"
#include "proxy/session/session_meter.hpp"
#include "proxy/transport.hpp"
#include "routing/route.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

class worker;

class pooled_session final : private lessee {
 public:
  /// What the session around it knows.
  class host {
   public:
    /// Where the table in force places the session now.
    [[nodiscard]] virtual std::expected<routing::route, ending> look_up(const routing::identity& who) const = 0;
    /// The same where it would become another tenant's: whether what its client has passed is enough there, too.
    [[nodiscard]] virtual std::expected<routing::route, ending> look_up_next(const routing::identity& next) const = 0;
    /// Who logs in at the route's server.
    [[nodiscard]] virtual std::expected<pgwire::server_credentials, ending> log_in_as(const routing::route& where,
                                                                                      const server_access& how) = 0;
    [[nodiscard]] virtual std::string name() const = 0;
    /// How much is logged of it.
    [[nodiscard]] virtual desk::own_level log_level() const = 0;
    /// It does something: what `on_tick` said of its being idle holds no more.
    virtual void stirs() = 0;

   protected:
    ~host() = default;
  };

  /// All must outlive it; `alive` keeps them so while something of the session's is on its way.
  pooled_session(std::uint64_t id, worker& home, transport& client, message_reader& from_client, host& around,
                 session_meter& meter, pooled_standing standing);
  ~pooled_session();
  pooled_session(const pooled_session&) = delete;
  pooled_session& operator=(const pooled_session&) = delete;

  // One after the other; each gives how the session ends, if it does. Coroutines next to each other, for what one of
  // them needed is to be gone while the next runs.

  /// Tells the client what a server would. `alive` as above.
  task<seldom<ending>> greet(std::shared_ptr<void> alive, std::size_t cancel_secret_bytes);
  /// After a greeting that went well: to the end.
  task<seldom<ending>> converse();
  /// Lets go of the server, and gives the client what was answered. `over` is what `greet` or `converse` gave; what was
  /// decided from outside counts more.
  task<ending> leave(seldom<ending> over);

  /// The session shall end once it is idle, or now.
  void leave_when_idle(ending why);
  void leave_now(ending why);
  /// The worker has a new table.
  void on_publish();
  /// Since when it is idle, if there is nothing to be looked at again but that, until `host::stirs`.
  [[nodiscard]] std::optional<clock::time_point> on_tick(clock::time_point now);
  void cancel_waits();
  /// Tells the tenant's account what was used.
  void settle_account() { meter_.settle(traffic_.tally(), where().limits, clock::now()); }

  /// Whether a message could be put into the client's stream now.
  [[nodiscard]] bool client_stream_whole() const {
    return to_client_.empty() && !client_cut_ && traffic_.server_at_boundary();
  }

  /// In bytes, what this session alone keeps in memory. O(prepared statements + settings).
  [[nodiscard]] std::size_t held() const {
    const std::size_t to_server = connection_ ? connection_->unsent() : 0;
    return traffic_.held_bytes() + to_server + to_client_.size() + (early_ ? early_->capacity() : 0);
  }

  /// It is over: frees what its client has sent.
  void forget_client() { traffic_.forget_client(); }

  // For the console.

  [[nodiscard]] const routing::route& where() const { return place_->where; }
  [[nodiscard]] const routing::identity& who() const { return place_->who; }
  /// Null: it has none on loan.
  [[nodiscard]] const connection_ptr& connection() const { return connection_; }
  [[nodiscard]] pin_set pins() const { return traffic_.pins(); }
  /// Nothing: it does not wait for a connection.
  [[nodiscard]] std::optional<clock::time_point> waiting_since() const { return waiting_since_.get(); }
  /// As the client was told last; nothing before its greeting.
  [[nodiscard]] std::optional<std::string> application_name() const;

 private:
  // In pooled_server.cpp.
  void on_server(std::span<const std::byte> chunk) override;
  void on_server_lost() override;
  void on_server_sent() override { wake(); }
  [[nodiscard]] bool has_room() const override;

  task<seldom<ending>> get_parameters(parameters_ptr& told);
  enum class reading : std::uint8_t {
    fed,           ///< the traffic has got something, or nothing more is wanted
    paused,        ///< likewise, but the others are to have their turn first
    grown,         ///< likewise, but whether there is memory for more is to be seen first
    waits_client,  ///< for the client to say something
    waits_lodge,   ///< for what was set aside, or for the server: until woken
    over,          ///< it has left, and nothing more can be done for it
  };
  pooled_traffic::step advance(bool dressing);
  [[nodiscard]] reading read_client();
  reading feed(std::span<const std::byte> said);
  [[nodiscard]] bool grows_by(std::size_t bytes) const;
  void go_or_refuse();
  void refuse(pgwire::error_report why);
  [[nodiscard]] bool survives(const ending& no_lease) const;

  // In pooled_placement.cpp.
  std::optional<ending> follow_table();
  void follow_when_pinned();
  void listen_to_table();
  [[nodiscard]] pooled_place_ptr place_of(routing::identity as, routing::route to) const;
  [[nodiscard]] static std::optional<ending> why_unfit(const pooled_place& place);
  void go(pooled_place_ptr to);
  void obey(const routing::route& now);
  [[nodiscard]] bool is_shut(const routing::route& next) const;
  std::optional<ending> go_to(const routing::tenant_id& tenant);
  void become_due();

  // In pooled_limits.cpp.
  void keep_limits(clock::time_point now);
  task<std::optional<ending>> keep_pace();
  void settle_lease(clock::time_point now);
  void watch_statements();
  void follow_rounds(std::optional<clock::time_point> now = std::nullopt);
  void tell_of_waiting(clock::time_point now);
  [[nodiscard]] std::string why_waiting() const;
  [[nodiscard]] bool keep_little();
  [[nodiscard]] bool rests() const;

  // In pooled_lease.cpp.
  struct question {
    std::optional<server_pool::permission> granted;  // nothing: it waits in the queue
  };
  [[nodiscard]] clock::duration most_waiting() const;
  [[nodiscard]] bool is_cut_short() const { return end_ || cancel_.requested(); }
  [[nodiscard]] std::optional<ending> why_stop(clock::time_point until) const;
  [[nodiscard]] std::optional<ending> why_refused(refused_states::who wants) const;
  [[nodiscard]] std::optional<ending> why_useless(const server_pool::permission& granted) const;
  bool lease_at_once();
  [[nodiscard]] bool only_waits() const;
  bool lease_when_called();
  bool take_up(server_pool::permission& granted, clock::time_point now);
  [[nodiscard]] connection_wish& wish();
  question ask();
  task<seldom<ending>> hold();
  // A statement that waits for the lodge, be it for its turn or for a connection: cancel requests end the waiting, and
  // the console shows it.
  class waiting_for {
   public:
    explicit waiting_for(pooled_session& who);
    ~waiting_for();
    waiting_for(const waiting_for&) = delete;
    waiting_for& operator=(const waiting_for&) = delete;

   private:
    pooled_session& who_;
  };
  task<seldom<ending>> lease_in_turn();
  task<seldom<ending>> lease();
  task<void> pay_debt();
  task<seldom<ending>> wait_for_lease();
  enum class came : std::uint8_t {
    leased,
    lost,         // the connection that was granted is gone: ask again
    put_off,      // no server is in reach: it waits for another attempt
    crowded_out,  // the server has as many connections as it lets in: ask again later
  };
  task<std::expected<came, ending>> use(server_pool::permission what, clock::time_point until);
  task<std::expected<connection_ptr, server_login::refusal>> open(connection_id id);
  /// What it is dressed with is left in the worker's run, for the client's statement to go out with it.
  void begin(connection_ptr connection, clock::time_point now);
  void give_back(clock::time_point now);
  void drop_connection();
  task<void> return_when_safe(std::shared_ptr<server_pool> pool, connection_ptr connection,
                              std::shared_ptr<void> alive);

  void send_to_client(const byte_run& bytes);
  /// Until woken, which happens for no reason, too: at each tick.
  auto sleep() { return bell_.wait(); }
  task<void> sleep_until(clock::time_point then);
  task<void> give_way();
  task<void> be_looked_at();
  void wake() { bell_.ring(); }
  [[nodiscard]] std::weak_ptr<bell> door_bell() { return std::shared_ptr<bell>(alive_.lock(), &bell_); }

  const std::uint64_t id_;
  worker& home_;
  transport& client_;
  message_reader& from_client_;
  host& around_;
  session_meter& meter_;
  time_limits time_;
  std::weak_ptr<void> alive_;
  pooled_place_ptr place_;
  std::uint64_t table_version_ = 0;

  pooled_traffic traffic_;
  std::shared_ptr<server_pool> pool_;
  connection_ptr connection_;
  connection_id last_connection_ = 0;
  cancel_registry::handle cancel_;
  server_pool::seat_ptr seat_;     ///< where it waits for a connection; who is idle has none
  std::optional<question> asked_;  ///< by lease_at_once, for the others to go on with
  seldom<server_login> login_;
  bell bell_;
  seldom<std::string> early_;  ///< what the client sent before its greeting

  outbox to_client_;
  clock::time_point greeting_until_ = clock::time_point::max();
  clock::time_point asked_at_;
  std::uint32_t seen_transactions_ = 0;  ///< at the latest tick
  std::uint64_t pinned_version_ = 0;     ///< of the table by which a pinned session was looked at last
  int rounds_ = 0;                       ///< of reading the client without a pause
  /// For its turn, for a connection or to be released.
  moment waiting_since_;
  bool waits_for_rate_ = false;  ///< and not for a connection yet
  bool told_of_waiting_ = false;
  bool greeted_ = false;
  bool client_cut_ = false;  ///< a server was lost in the middle of a message to the client
  bool client_closed_ = false;
  bool begins_ = false;     ///< what was read last is not part of anything before
  bool read_again_ = true;  ///< more of the client may be there without waiting
  seldom<ending> end_;
  seldom<ending> when_idle_;
};

}  // namespace proxy
