// What the console shows of a session, and how it ends one.
#include <sys/socket.h>

#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"

namespace proxy {
namespace {

endpoint local_end(int descriptor) {
  endpoint found;
  socklen_t size = static_cast<socklen_t>(found.capacity());
  if (descriptor >= 0 && ::getsockname(descriptor, found.data(), &size) == 0) found.resize(size);
  return found;
}

std::string_view to_string(replication_kind kind) {
  switch (kind) {
    case replication_kind::none: break;
    case replication_kind::physical: return "physical";
    case replication_kind::logical: return "logical";
  }
  return "none";
}

std::string words_of(pin_set pins) {
  std::string all;
  for (unsigned i = 0; i < pin_count; ++i) {
    const auto one = static_cast<pin>(i);
    if (pins.has(one)) all += (all.empty() ? "" : ", ") + std::string(to_string(one));
  }
  return all;
}

}  // namespace

std::string client_session::state_in_words() const {
  switch (state_) {
    case session_state::greeting:
    case session_state::authenticating: return "login";
    case session_state::entering: return own_ && own_->login ? "login" : "waiting";
    case session_state::held: return "waiting";
    case session_state::relaying: return relaying() != nullptr && relaying()->pausing() ? "waiting" : "active";
    case session_state::console: return "active";
    case session_state::pooled: break;
    case session_state::leaving: return "closing";
    case session_state::cancelling: return "cancel";
  }
  if (pooled_->waiting_since()) return "waiting";
  return pooled_->connection() ? "active" : "idle";
}

// One that is held has not been placed, and is where the table would place it.
std::optional<routing::route> client_session::place_now() const {
  if (route_) return *route_;
  if (state_ != session_state::held) return std::nullopt;
  auto found = look_up(who());
  if (!found) return std::nullopt;
  return std::move(*found);
}

console::client_facts client_session::facts() const {
  console::client_facts made;
  made.id = id_;
  made.worker = home_.number();
  made.user = who().user;
  made.database = who().database.value_or(who().user);
  made.tenant = who().tenant.str();
  made.state = state_in_words();
  made.replication = to_string(replication_);
  made.application_name = application_name_;
  if (client_.tls()) made.tls = describe(client_.tls());
  made.peer = peer_.whole();
  made.local = local_end(client_.descriptor());
  made.since = since_;
  made.is_console = state_ == session_state::console;
  if (state_ == session_state::held) made.waiting_since = held_->since;
  const auto live_at = [&](const routing::route& where) {
    made.place = where.database;
    made.server = where.server->name;
    made.pool = pool_key_of(who(), where);
  };
  const auto link_to = [&made](const cancel_target* at, connection_id id) {
    auto& link = made.link.emplace();
    link.id = id;
    if (at == nullptr) return;
    link.address = at->server;
    link.process_id = at->server_key.process_id();
  };
  if (pooled_) {
    live_at(pooled_->where());
    made.waiting_since = pooled_->waiting_since();
    made.pins = words_of(pooled_->pins());
    made.application_name = pooled_->application_name().value_or(application_name_);
    const connection_ptr& lent = pooled_->connection();
    if (lent) link_to(lent->cancel().get(), lent->id());
  } else if (const auto where = place_now()) {
    live_at(*where);
    if (state_ == session_state::relaying) {
      link_to(own_->target.get(), own_->reserved->id());
      made.link->own = !own_->stays;
      if (const relay* const carries = relaying()) made.waiting_since = carries->pausing_since();
    }
  }
  return made;
}

bool client_session::is(const console::kill_target& whom) const {
  if (state_ == session_state::leaving || ending_) return false;
  if (whom.id) return id_ == *whom.id;
  if (state_ == session_state::console) return false;
  if (whom.tenant) return !who().tenant.empty() && who().tenant.str() == *whom.tenant;
  if (!whom.place) return true;
  if (pooled_) return pooled_->where().database == *whom.place;
  const auto where = place_now();
  return where && where->database == *whom.place;
}

std::size_t client_session::held() const {
  if (ending_ || state_ == session_state::leaving) return 0;  // it is about to give it back
  return from_client_.held_bytes() + (pooled_ ? pooled_->held() : 0);
}

void client_session::end_for_memory() {
  if (ending_ || state_ == session_state::leaving) return;
  end_with(ending::fatal(pgwire::sqlstate::out_of_memory, "terminating connection: pglodge is short of memory",
                         "This session held " + std::to_string(held()) + " bytes, more than any other.",
                         "Send large values by COPY, or in several statements."));
}

void client_session::kill() {
  end_with(ending::fatal(pgwire::sqlstate::admin_shutdown, "terminating connection due to administrator command", {},
                         "Somebody ended it at the console of pglodge."));
}

}  // namespace proxy
