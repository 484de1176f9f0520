// Pooled sessions of two tenants that share one connection to a server that keeps to the protocol.
//
// The input chooses what each client says, how its bytes are cut, and when the server takes its next message; what a
// statement comes to follows from its text (model/server). Each client also has a server of its own, which is told the
// same and by nobody else. What must hold:
//
// - each statement of a client's runs in the very state in which its own server would have run it;
// - each client is told what its own server says, in this order, and when nothing is under way, all of it;
// - that holds also where a connection could not be dressed, and another one takes its place;
// - nobody waits for a server that has nothing to say; and a session whose own server would have nothing left in it has
//   given the connection back, and nothing is expected of that.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/client.hpp"
#include "protocol/frontend_messages.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace {

using proxy::byte_run;
using proxy::pooled_traffic;
using step = pooled_traffic::step;
using outcome = pooled_traffic::outcome;
namespace frontend = pgwire::frontend;
using namespace fuzz_model;

// A verdict depends on the text only, and is dear: those of former runs are kept.
pgwire::verdict_cache& known_verdicts() {
  static pgwire::verdict_cache verdicts(std::size_t{8} * 1024 * 1024);
  return verdicts;
}

class scene {
 public:
  explicit scene(choices& chosen) : chosen_(chosen) {
    std::swap(tools_.verdicts, known_verdicts());
    const unsigned kinds = chosen_.next();
    for (int slot = 0; slot < 3; ++slot) begin(slot, kinds >> slot);
    connect();
  }

  ~scene() { std::swap(tools_.verdicts, known_verdicts()); }
  scene(const scene&) = delete;

  void play() {
    while (!chosen_.over()) {
      const unsigned what = chosen_.next();
      if (what % 2 == 0) {
        const int who = static_cast<int>(what / 2 % 4) % 3;
        say(who, what / 8);
      } else if (what % 4 == 1) {
        serve(what / 4);
      } else {
        while (serve(what / 4)) {
        }
      }
      look();
    }
    finish();
  }

 private:
  void begin(int slot, unsigned kind) {
    clients_[static_cast<std::size_t>(slot)] = std::make_unique<client>(slot, ++sessions_, kind, tools_);
  }
  client& of(int who) { return *clients_[static_cast<std::size_t>(who)]; }

  void connect() {
    server_ = std::make_unique<server>(servers_own, [this](int who, std::string what) { ran(who, std::move(what)); });
    session_ = std::make_unique<proxy::server_session>();
    session_->worn = std::make_shared<const routing::session_state>();
    session_->reported = std::make_shared<const proxy::parameter_map>(
        proxy::parameter_map{{std::string(setting_names[reported_at]), servers_own[3]}});
  }

  // At the shared server.
  void ran(int who, const std::string& what) {
    client& whose = of(who);
    trace("run for " + std::to_string(who), what);
    must(whose.ran < whose.due.size(), "a statement runs that the client has not sent");
    if (whose.due[whose.ran] != what) trace("instead of", whose.due[whose.ran]);
    must(whose.due[whose.ran] == what, "a statement runs in another state than it would at a server of its own");
    ++whose.ran;
  }

  void say(int who, unsigned cut) {
    client& from = of(who);
    const std::string what = message(from, chosen_);
    if (!may_say(from, what)) return;
    say(who, what, cut);
  }

  void say(int who, const std::string& what, unsigned cut) {
    client& from = of(who);
    trace("client " + std::to_string(who), what);
    from.own.receive(what, who);
    while (from.own.has_message()) {
      from.fed = from.own.copies() && (from.fed || from.own.next() == 'd');
      from.strays = from.strays || (from.fed && from.own.next() == 'S');
      from.own_told.add(from.own.take_one());
    }
    from.unsent += what;
    const std::size_t piece = cut % 4 == 0 ? from.unsent.size() : cut % 8;
    std::size_t held = cut / 8 % 4 == 3 ? 3 : 0;
    while (from.unsent.size() > held && from.last == step::starved) {
      from.chunk = from.unsent.substr(0, std::max<std::size_t>(1, std::min(piece, from.unsent.size() - held)));
      from.unsent.erase(0, from.chunk.size());
      from.traffic.feed_client(pgwire::as_bytes(from.chunk));
      if (!pump(who)) return;
    }
    lend();
  }

  // --- the lodge ---

  // Deals with what the client has sent; false: it has left.
  bool pump(int who) {
    client& whose = of(who);
    for (;;) {
      byte_run to_server, to_client;
      whose.last = whose.traffic.advance(to_server, to_client);
      trace("step of " + std::to_string(who), std::to_string(static_cast<int>(whose.last)));
      pass(who, to_server, to_client);
      switch (whose.last) {
        case step::starved: return true;
        case step::waits: whose.traffic.keep_client(); return true;
        case step::full: whose.traffic.keep_client(); break;
        case step::over: end_lease(who); break;
        case step::needs_lease: {
          if (holder_ >= 0) {
            whose.traffic.keep_client();
            return true;
          }
          holder_ = who;
          byte_run dress;
          const bool fresh = !session_->used;
          whose.traffic.begin_lease(*session_, dress);
          if (!fresh && !dress.empty() && ++dressings_ % 5 == 0) server_->fail_after(dressings_ / 5 % 4);
          pass(who, dress, to_client);
          break;
        }
        case step::terminated: leave(who); return false;
        default:
          must(whose.own.gone(), "the client's stream was taken for faulty");  // a statement among COPY data
          leave(who);
          return false;
      }
    }
  }

  void pass(int who, byte_run& to_server, byte_run& to_client) {
    if (!to_server.empty()) {
      must(holder_ == who, "something goes to a server that was not lent");
      trace("to server for " + std::to_string(who), pgwire::as_text(to_server.bytes()));
      server_->receive(pgwire::as_text(to_server.bytes()), who);
    }
    tell(who, to_client);
    to_server.clear();
    to_client.clear();
  }

  void tell(int who, const byte_run& to_client) {
    client& whose = of(who);
    if (!to_client.empty()) trace("told " + std::to_string(who), pgwire::as_text(to_client.bytes()));
    whose.told.add(pgwire::as_text(to_client.bytes()));
    if (tracing && !whose.told.begins(whose.own_told)) whose.told.show_difference(whose.own_told);
    must(whose.told.begins(whose.own_told), "the client is told something else than its own server says");
  }

  void end_lease(int who) {
    must(holder_ == who && server_->at_boundary(), "the lease ends within a message");
    must(server_->owes_nothing(), "the lease ends while the server has something to answer");
    of(who).traffic.end_lease();
    if (++leases_ % 3 == 0 && session_->worn) {  // as if the session had set it
      session_->worn =
          std::make_shared<const routing::session_state>(session_->worn->with("default_transaction_deferrable", "on"));
    }
    holder_ = -1;
    last_holder_ = who;
  }

  // Whoever waits for the connection gets it, one after the other.
  void lend() {
    for (int next = 1; next <= 3 && holder_ < 0; ++next) {
      const int who = (last_holder_ + next) % 3;
      if (of(who).last != step::needs_lease) continue;
      if (go_on(who)) next = 0;
    }
  }

  // After it had to wait.
  bool go_on(int who) {
    if (!pump(who)) return true;
    client& whose = of(who);
    while (whose.last == step::starved && !whose.unsent.empty()) {
      whose.chunk = std::exchange(whose.unsent, {});
      whose.traffic.feed_client(pgwire::as_bytes(whose.chunk));
      if (!pump(who)) return true;
    }
    return true;
  }

  // The session ends: what pooled_session::leave does.
  void leave(int who) {
    client& whose = of(who);
    if (holder_ == who) {
      const bool reusable = whose.traffic.idle() && whose.traffic.pins().empty();
      if (reusable) {
        session_->worn = nullptr;
        end_lease(who);
      } else {
        drop(who);
      }
    }
    begin(who, chosen_.next());
  }

  void drop(int who) {
    of(who).traffic.end_lease();
    holder_ = -1;
    last_holder_ = who;
    connect();
  }

  // --- the server ---

  // It takes one message, and the lodge reads what it says to that; false: it had none.
  bool serve(unsigned cut) {
    if (!server_->has_message()) return false;
    const std::string said = server_->take_one();
    if (said.empty()) return !server_->gone();
    trace("server", said);
    must(holder_ >= 0, "the server says something to nobody");
    const int who = holder_;
    const std::size_t piece = cut % 4 == 0 ? said.size() : 1 + cut % 16;
    for (std::size_t at = 0; at < said.size(); at += piece) {
      must(holder_ == who, "the lease ends while the server speaks");
      if (!hear(who, std::string_view(said).substr(at, piece))) return true;
    }
    if (server_->gone()) {
      if (holder_ < 0) return true;
      must(of(who).own.gone() && of(who).told.same_as(of(who).own_told), "a session ends");
      drop(who);
      begin(who, chosen_.next());
    } else {
      go_on(who);
    }
    lend();
    return true;
  }

  bool hear(int who, std::string_view said) {
    client& whose = of(who);
    byte_run to_server, to_client;
    const outcome what = whose.traffic.from_server(pgwire::as_bytes(said), to_client, to_server);
    pass(who, to_server, to_client);
    switch (what) {
      case outcome::leased: return true;
      case outcome::over: end_lease(who); return true;
      case outcome::undressed:
        if (whose.traffic.begin_again()) {
          whose.last = step::needs_lease;
          drop(who);
          lend();
        } else {  // a piece of COPY data, to which nobody listens
          drop(who);
          begin(who, chosen_.next());
        }
        return false;
      case outcome::forbidden: must(false, "a pin is forbidden"); return false;
      case outcome::lost_track:
        // Whether the server took a Sync behind COPY data for one cannot be known if the COPY failed; and what ends the
        // connection may do so here, too.
        must(whose.strays || whose.own.gone(), "the lodge lost track");
        drop(who);
        begin(who, chosen_.next());
        return false;
    }
    return false;
  }

  // --- what must hold ---

  void look() {
    if (holder_ >= 0 && server_->has_message()) {
      for (int who = 0; who < 3; ++who) {
        if (who != holder_) rests(who);
      }
      return;
    }
    if (holder_ >= 0) must(of(holder_).last != step::waits, "everybody waits");
    for (int who = 0; who < 3; ++who) rests(who);
  }

  void rests(int who) {
    client& whose = of(who);
    if (whose.last != step::starved || !whose.unsent.empty()) return;
    if (!whose.traffic.client_at_boundary() || whose.own.gone()) return;
    if (tracing && !whose.told.same_as(whose.own_told)) whose.told.show_difference(whose.own_told);
    must(whose.told.same_as(whose.own_told), "the client has not been told everything");
    must(whose.ran == whose.due.size(), "a statement has not run");
    if (!whose.own.idle()) return;
    must(whose.traffic.idle(), "a session that has nothing to do is not idle");
    must(whose.traffic.leased() == whose.own.pinned(), "a pin is there, or the lease is not over");
  }

  // Each comes to its end, and says where it is then.
  void finish() {
    std::array<bool, 3> done{};
    for (int round = 0; round < 30 && !std::ranges::all_of(done, std::identity()); ++round) {
      const int who = round % 3;
      bool& ended = done[static_cast<std::size_t>(who)];
      settle(who);
      const client& whose = of(who);
      if (ended || whose.last != step::starved) continue;
      if (whose.own.gone()) {  // by a message among COPY data that the lodge has answered by itself
        leave(who);
        continue;
      }
      ended = whose.own.idle() && !whose.own.pinned();
      say(who, last_words(whose), 0);
      settle(who);
    }
    must(std::ranges::all_of(done, std::identity()), "a client was never served");
  }

  static std::string last_words(const client& whose) {
    if (whose.own.copies()) return frontend::copy_done{}.encode();
    if (whose.own.needs_sync()) return frontend::sync{}.encode();
    if (!whose.own.idle()) return frontend::query{"ROLLBACK /*c*/"}.encode();
    return frontend::query{whose.own.pinned() ? "DISCARD ALL /*c*/" : "SELECT here() /*c*/"}.encode();
  }

  void settle(int who) {
    lend();
    while (serve(0)) {
    }
    if (of(who).last == step::starved && !of(who).unsent.empty()) go_on(who);
    while (serve(0)) {
    }
    look();
  }

  choices& chosen_;
  std::atomic<std::uint64_t> generation_{0};
  proxy::statement_tools tools_{generation_, [] { return 0.5; }};
  std::uint64_t sessions_ = 0;
  unsigned leases_ = 0, dressings_ = 0;
  std::array<std::unique_ptr<client>, 3> clients_;
  std::unique_ptr<server> server_;
  std::unique_ptr<proxy::server_session> session_;
  int holder_ = -1, last_holder_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2 || size > 512) return 0;
  choices chosen(std::string_view(reinterpret_cast<const char*>(data), size));
  scene(chosen).play();
  return 0;
}
