// How a session ends, and what its client is told.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/error_response.hpp"
#include "proxy/pool/wish.hpp"
#include "proxy/session/traffic_fault.hpp"
#include "routing/ids.hpp"
#include "routing/refusal.hpp"
#include "routing/route.hpp"

namespace proxy {

/// How long a client has to read what was answered, and why its session is over, before its connection is closed.
inline constexpr std::chrono::seconds most_lingering{2};

struct ending {
  pgwire::error_report report;
  std::string as_it_came;   ///< the server's own ErrorResponse, which goes to the client instead of `report`
  bool tell_client = true;  ///< false: nobody is there to be told, or everything has been said

  /// The message is for the log only.
  static ending quiet(std::string_view why) {
    ending made;
    made.report.message = why;
    made.tell_client = false;
    return made;
  }
  static ending fatal(std::string_view sqlstate, std::string message, std::string detail = {}, std::string hint = {}) {
    ending made;
    made.report = {"FATAL", std::string(sqlstate), std::move(message), std::move(detail), std::move(hint)};
    return made;
  }
  static ending of(const routing::refusal& why) { return fatal(why.sqlstate, why.message, why.detail, why.hint); }
  static ending of(pgwire::errc code) {
    ending made;
    made.report = pgwire::report_for(code);
    return made;
  }
  /// `who` sent what the protocol forbids: "The client".
  static ending of(const traffic_fault& fault, std::string_view who);
  /// For every session, when the daemon ends.
  static ending lodge_closes();
  /// Another process is the lodge now, and its console another one.
  static ending succeeded();
  /// The tenant's place is not what it was.
  static ending moved(const routing::tenant_id& tenant);
  /// It names no tenant, and can name none later.
  static ending nameless();
  /// Nobody released the tenant in time.
  static ending held_too_long(const routing::route& where);
  /// Its tenant has as many as its limit says.
  /// `full`: whose limit is reached.
  static ending too_many_clients(const routing::route& where, routing::limit_owner full);
  /// Its place takes no new sessions.
  static ending disabled(const std::string& database);
  /// No server connection could be lent to it while it waited: by which bound.
  static ending none_free(const routing::route& where, bound by);
  /// No host of the server serves; `why` tells of each.
  static ending out_of_reach(const std::string& server, std::string why);
  /// Its statement was to be cancelled while it waited; the session goes on.
  static ending cancelled();
  /// The same, where the session goes on: the statement at hand comes to nothing.
  [[nodiscard]] ending as_error() const {
    ending made = *this;
    made.report.severity = "ERROR";
    return made;
  }
  /// The same, where it does not.
  [[nodiscard]] ending as_fatal() const {
    ending made = *this;
    made.report.severity = "FATAL";
    return made;
  }
};

}  // namespace proxy
