// What a pooled session's server says while it is on loan, and what comes of it.
#include <spdlog/spdlog.h>

#include <utility>

#include "protocol/sqlstate.hpp"
#include "proxy/session/pooled_session.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// What may be set aside for a client before its server is not read any more.
constexpr std::size_t most_unsent = std::size_t{64} * 1024;

}  // namespace

void pooled_session::on_server(std::span<const std::byte> chunk) {
  using outcome = pooled_traffic::outcome;
  const auto now = clock::now();
  auto& [to_server, to_client] = home_.runs();
  to_server.clear();
  to_client.clear();
  if (cancel_.requested()) traffic_.note_cancel();
  const outcome state = traffic_.from_server(chunk, to_client, to_server);
  follow_rounds(now);
  connection_->send(to_server);
  switch (state) {
    case outcome::leased: break;
    case outcome::over:
      send_to_client(to_client);  // while the lease lasts, whose account it is part of
      to_client.clear();
      traffic_.end_lease();
      if (traffic_.server_leaves()) {
        drop_connection();
      } else {
        give_back(now);
      }
      break;
    case outcome::undressed: {
      if (traffic_.undressed_when_new()) {
        pool_->remember_refusal(place_->wish.key, traffic_.state(), *traffic_.undressed_why());
      }
      const bool again = traffic_.begin_again();
      desk::say_bounded_of(around_.log_level(), spdlog::level::warn,
                           "{}: a server connection could not be dressed{}: {}", around_.name(),
                           again ? ", another is tried" : "", traffic_.undressed_why()->message);
      if (again) {
        client_.wake_reader();
      } else {
        traffic_.explain_undressed(to_client);
      }
      drop_connection();
      break;
    }
    case outcome::forbidden: {
      drop_connection();
      ending why = ending::fatal({}, {});
      why.report = *traffic_.forbidden();
      why.report.severity = "FATAL";
      leave_now(std::move(why));
      break;
    }
    case outcome::lost_track:
      drop_connection();
      leave_now(traffic_.fault() ? ending::of(*traffic_.fault(), "The server")
                                 : ending::fatal(sqlstate::internal_error,
                                                 "the lodge lost track of the server's session", {}, "Connect again."));
      break;
  }
  send_to_client(to_client);
  if (!end_) become_due();
  wake();
}

void pooled_session::on_server_lost() {
  client_cut_ = client_cut_ || !traffic_.server_at_boundary();
  traffic_.end_lease();
  cancel_.aim(nullptr);
  const connection_ptr lost = std::exchange(connection_, nullptr);
  pool_->closed(lost->id());
  settle_lease(clock::now());
  if (traffic_.server_said_fatal()) {
    leave_now(ending::quiet("the server ended the session"));
  } else {
    leave_now(ending::fatal(sqlstate::connection_failure,
                            "the connection to server \"" + where().server->name + "\" was lost"));
  }
}

bool pooled_session::has_room() const { return to_client_.size() < most_unsent; }

}  // namespace proxy
