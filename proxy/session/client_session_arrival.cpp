// How a session comes in: what its client wants, whose it is, who it is, and where that leads.
#include <utility>

#include "protocol/sqlstate.hpp"
#include "proxy/auth/auth_rules.hpp"
#include "proxy/auth/peer_address.hpp"
#include "proxy/memory_watch.hpp"
#include "proxy/session/client_session.hpp"
#include "routing/access.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

ending refused_change(const routing::identity& next, conf::auth_method wanted) {
  return ending::fatal(
      sqlstate::invalid_authorization, "the lodge's rules refuse the change to " + routing::in_words(next.tenant), {},
      wanted == conf::auth_method::reject ? "" : "Connect again, and name the tenant when the session begins.");
}

ending cannot_ask(const routing::server& server) {
  return ending::fatal(sqlstate::invalid_authorization,
                       "server \"" + server.name + "\" cannot find out who the client is",
                       "The method is passthrough, but the lodge logs in there by a user or a certificate of its own.",
                       "Write another method into auth.method or auth.rules.");
}

}  // namespace

task<seldom<ending>> client_session::hear_request() {
  auto first = co_await greet(client_, visitor_->tls.get());
  if (!first) co_return std::move(first.error());
  if (const auto* key = std::get_if<pgwire::cancel_key>(&*first)) {
    const pgwire::cancel_key presented = *key;
    co_return co_await pass_cancel_on(presented);
  }
  if (visitor_->cancels_only) co_return ending::quiet("only cancel requests are taken at this door");
  auto request = session_request::read(std::move(std::get<pgwire::startup_message>(*first)));
  if (!request) co_return ending::of(request.error());
  if (!client_.tls() && !visitor_->plain_text_allowed) {
    co_return ending::fatal(sqlstate::invalid_authorization, "this listener demands TLS", {},
                            "Connect with sslmode=require, or better verify-full.");
  }
  visitor_.reset();
  request_ = std::move(*request);
  if (const auto* name = request_->startup.find("application_name")) application_name_ = *name;
  if (const auto* mode = request_->startup.find("replication")) {
    replication_ = *mode == "database" ? replication_kind::logical : replication_kind::physical;
  }
  co_return std::nullopt;
}

task<seldom<ending>> client_session::take_in() {
  const auto* database = request_->startup.find("database");
  if (database != nullptr && *database == console::database_name) co_return co_await come_to_console();

  if (auto full = why_full()) co_return std::move(*full);
  auto identified = routing::identify(home_.current()->routes->hints(), facts_of(*request_));
  if (!identified) co_return ending::of(identified.error());
  who_ = std::move(*identified);

  if (auto failed = co_await agree_on_version(request_->startup)) co_return std::move(*failed);
  const auth_facts facts = auth_facts_of(who());
  auto passed = co_await authenticate(facts);
  if (!passed) co_return std::move(passed.error());
  passed_ = *passed;
  if (auto failed = co_await place()) co_return std::move(failed);
  // By passthrough the server has yet to say who this is: nobody opens accounts or fills a tenant's up without.
  if (lodge_knows()) {
    const auto entered = meter_.enter(*route_);
    if (!entered) co_return ending::too_many_clients(*route_, entered.error());
  }

  desk::say_of(log_level(), spdlog::level::info, "{}: begins: user {}, by {}{}{}, at {}/{}", name(), who().user,
               who().hint, who().hint.empty() ? "" : " and ", route_->rule, route_->server->name, route_->database);
  co_return std::nullopt;
}

// The process's own bounds, whoever the client is.
std::optional<ending> client_session::why_full() {
  if (home_.shared().memory->is_short()) {
    return ending::fatal(sqlstate::out_of_memory, "pglodge is short of memory, and takes no new sessions",
                         "It has come near resources.memory.", "Try again later.");
  }
  const auto& most = home_.current()->settings->resources.clients;
  in_lodge_ = home_.shared().clients.add();
  if (!most || home_.shared().clients.value() <= *most) return std::nullopt;
  return ending::fatal(sqlstate::too_many_connections, "sorry, too many clients already",
                       "resources.clients is " + std::to_string(*most) + ".");
}

// No hint applies there, and no server could be asked by passthrough.
task<seldom<ending>> client_session::come_to_console() {
  routing::identity& looker = who_.emplace();
  looker.user = *request_->startup.find("user");
  looker.database = console::database_name;
  if (auto failed = co_await agree_on_version(request_->startup)) co_return std::move(*failed);
  auth_facts facts = auth_facts_of(looker);
  facts.database = console::database_name;
  auto passed = co_await authenticate(facts);
  if (!passed) co_return std::move(passed.error());
  ending refused;
  if (*passed == conf::auth_method::passthrough) {
    refused.report = console::nobody_to_ask();
    co_return std::move(refused);
  }
  if (!console::privilege_of(home_.current()->settings->admin, who().user)) {
    refused.report = console::no_business(who().user);
    co_return std::move(refused);
  }
  console::console_session::request what{id_, who().user, name(), version_ == pgwire::protocol_version{3, 2}};
  console_ = std::make_unique<console::console_session>(home_, client_, from_client_, std::move(what));
  request_.reset();
  co_return std::nullopt;
}

// What the packet says, and the TLS it came by.
routing::session_facts client_session::facts_of(const session_request& request) const {
  routing::session_facts facts = request.facts();
  if (!client_.tls()) return facts;
  facts.server_name = server_name_indication(client_.tls());
  if (auto names = client_certificate(client_.tls())) {
    facts.common_name = std::move(names->common_name);
    facts.alternative_names = std::move(names->alternative_names);
  }
  return facts;
}

// Before anything else is said, authentication included (PostgreSQL docs, 55.2.1).
task<std::optional<ending>> client_session::agree_on_version(const pgwire::startup_message& startup) {
  const auto negotiated = pgwire::negotiate(startup);
  version_ = negotiated.version;
  if (negotiated.must_tell) {
    const std::string told = pgwire::encode_negotiate(negotiated);
    if (!co_await client_.write_all(as_bytes(told))) co_return ending::quiet("the client left");
  }
  co_return std::nullopt;
}

// What the rules look at, as long as `who` is there. A tenant's database may be called as the console's is, which a
// rule must not take for it.
auth_facts client_session::auth_facts_of(const routing::identity& who) const {
  auth_facts facts;
  facts.tls = static_cast<bool>(client_.tls());
  facts.peer = ip_of(peer_.whole());
  facts.database = who.database ? *who.database : who.user;
  if (facts.database == console::database_name) facts.database = {};
  facts.role = who.user;
  facts.tenant = who.tenant.str();
  return facts;
}

// Who the client is, by the method that the configuration demands of it, which is what this gives. By passthrough the
// server finds out itself.
// Whether its tenant exists is looked at only when it has passed, so that it cannot be found out without.
task<client_session::step<conf::auth_method>> client_session::authenticate(auth_facts facts) {
  const snapshot_ptr now = home_.current();
  const auth_decision decision = method_for(now->settings->auth, facts);
  if (decision.method == conf::auth_method::passthrough) co_return decision.method;

  state_ = session_state::authenticating;
  auth_request what{decision.method, who().user, facts.peer, std::nullopt, std::nullopt, name()};
  if (client_.tls()) {
    if (auto point = server_end_point(client_.tls()); !point.empty()) what.end_point = std::move(point);
    what.certificate = client_certificate(client_.tls());
  }
  auth_.emplace(home_.context().get_executor(), home_.shared().computing, home_.shared().throttle,
                now->secrets->clients, client_);
  auto passed = co_await auth_->run(std::move(what));
  auth_.reset();
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  if (passed->password || passed->keys) pass_ = std::move(*passed);
  co_return decision.method;
}

// A held tenant's client waits here for a table that releases it. Its startup's clock stands still meanwhile. Nothing:
// `route_` says where it lives.
task<seldom<ending>> client_session::place() {
  auto found = look_up(who());
  if (found && found->state == routing::tenant_state::held) {
    const auto since = clock::now();
    const auto startup_left = deadline_ - since;
    const clock::duration wait = found->limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
    state_ = session_state::held;
    deadline_ = clock::time_point::max();
    held_.emplace(since, timer(home_.context(), since + wait));
    while (found && found->state == routing::tenant_state::held && !ending_) {
      auto [woken] = co_await held_->released.async_wait(no_throw);
      if (!woken) co_return ending::held_too_long(*found);
      found = look_up(who());
    }
    held_.reset();
    deadline_ = clock::now() + startup_left;
  }
  found = if_it_can_ask(if_enabled(std::move(found)));
  if (!found) co_return std::move(found.error());
  route_ = std::move(*found);
  co_return std::nullopt;
}

// A place that is disabled takes no new sessions; those that are there stay.
client_session::step<routing::route> client_session::if_enabled(step<routing::route> found) const {
  if (!found || found->waits || !home_.current()->overrides->is_disabled(found->database)) return found;
  return std::unexpected(ending::disabled(found->database));
}

// By passthrough the server is to find out who the client is, which it cannot where the lodge logs in as itself.
client_session::step<routing::route> client_session::if_it_can_ask(step<routing::route> found) const {
  if (!found || found->waits || lodge_knows() || !routing::knows_the_lodge(*found->server)) return found;
  return std::unexpected(cannot_ask(*found->server));
}

client_session::step<routing::route> client_session::look_up(const routing::identity& who) const {
  auto found = home_.current()->routes->resolve(who);
  if (!found) return std::unexpected(ending::of(found.error()));
  home_.current()->overrides->apply(*found);
  if (const auto refused = routing::may_enter(*found, who.user)) return std::unexpected(ending::of(*refused));
  return std::move(*found);
}

// Rules may ask more of the next tenant's clients, or let none of them in. As at the session's beginning, that goes
// before whether there is such a tenant. Where it may only name one, there is nothing to protect.
client_session::step<routing::route> client_session::look_up_next(const routing::identity& next) const {
  auto found = look_up(next);
  if (found && found->waits) return found;
  const auth_decision decision = method_for(home_.current()->settings->auth, auth_facts_of(next));
  if (is_enough(passed_, decision.method)) return found;
  desk::say_of(log_level(), spdlog::level::info, "{}: may not change to {}: it has passed {}, and {} asks for {}",
               name(), routing::in_words(next.tenant), conf::to_string(passed_), to_string(decision),
               conf::to_string(decision.method));
  return std::unexpected(refused_change(next, decision.method));
}

}  // namespace proxy
