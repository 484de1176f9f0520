// Of the model server: messages and their answers.
#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/frontend_messages.hpp"
#include "server.hpp"

namespace fuzz_model {

namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
using namespace std::string_literals;

namespace {

std::string error(std::string_view severity, std::string_view code, std::string message) {
  return pgwire::encode_error({std::string(severity), std::string(code), std::move(message), {}, {}});
}
std::string complete(std::string_view tag) { return backend::command_complete{tag}.encode(); }

}  // namespace

void server::receive(std::string_view bytes, int client) {
  unread_ += bytes;
  while (unread_.size() >= 5) {
    std::size_t length = 0;
    for (std::size_t at = 1; at < 5; ++at) length = length << 8 | static_cast<unsigned char>(unread_[at]);
    if (unread_.size() < length + 1) return;
    before_it_.push_back({unread_[0], unread_.substr(5, length - 4), client});
    unread_.erase(0, length + 1);
  }
}

bool server::owes_nothing() const {
  const auto silent = [](const message& each) { return std::string_view("dcfH").contains(each.type); };
  return std::ranges::all_of(before_it_, silent) && idle();
}

std::string server::ready() {
  std::string said;
  if (const std::string& now = now_.value(reported_at, start_); now != reported_) {
    reported_ = now;
    said = backend::parameter_status{setting_names[reported_at], now}.encode();
  }
  const char status = block_ == block::in_progress ? 'T' : block_ == block::failed ? 'E' : 'I';
  return said + backend::ready_for_query{static_cast<backend::transaction_status>(status)}.encode();
}

std::string server::fail(const failure& why) {
  abort();
  texts_.clear();
  skips_ = extended_;
  return error("ERROR", why.code, why.message);
}

std::string server::take_one() {
  if (!has_message()) return {};
  const message next = std::move(before_it_.front());
  before_it_.pop_front();
  client_ = next.client;
  if (copying_ != copy::no) return copy_message(next);
  if (next.type == 'X') gone_ = true;
  if (skips_ && next.type != 'S') return {};
  extended_ = std::string_view("PBDECH").contains(next.type);
  unsynced_ = unsynced_ ? next.type != 'S' && next.type != 'Q' && next.type != 'F'
                        : std::string_view("PBDEC").contains(next.type);
  if (fails_in_ > 0 && std::string_view("QPBDEC").contains(next.type) && --fails_in_ == 0) {
    return fail({"53200", "out of memory"}) + (next.type == 'Q' ? ready() : std::string());
  }
  switch (next.type) {
    case 'Q': return simple(next.body);
    case 'P': return parse(next.body);
    case 'B': return bind(next.body);
    case 'D': return describe(next.body);
    case 'E': return execute(next.body);
    case 'C': return close(next.body);
    case 'F': return call(next.body);
    case 'S':
      skips_ = false;
      finish();
      return ready();
    default: return {};  // Flush, and COPY's messages when there is no COPY any more
  }
}

std::string server::simple(const std::string& body) {
  start();
  prepared_.erase("");
  const auto& all = read(std::string(frontend::query::text_in(pgwire::as_bytes(body))));
  if (!all) return fail({"42601", "syntax error"}) + ready();
  if (all->empty()) {
    finish();
    return backend::empty_query_response{}.encode() + ready();
  }
  texts_ = *all;
  text_ = 0;
  return go_on_simple();
}

std::string server::go_on_simple() {
  std::string answer;
  for (; text_ < texts_.size(); ++text_) {
    const statement_ptr what = texts_[text_];
    if (block_ == block::failed && !what->ends_transaction()) {
      return answer + fail({"25P02", "current transaction is aborted"}) + ready();
    }
    start();
    if (texts_.size() > 1 && block_ == block::started) block_ = block::implicit;
    if (auto why = analyse(*what)) return answer + fail(*why) + ready();
    portals_.erase("");
    if (what->what == statement::kind::copy_in && copying_ == copy::no && copied_by_ != what) {
      on_statement_(client_, what->text + " " + state());
      answer += backend::copy_in_response{}.encode();
      if (what->fails_early()) return answer + fail({"55000", "cannot perform COPY FREEZE"}) + ready();
      copying_ = copy::simple;
      copied_by_ = what;
      return answer;
    }
    std::string tag;
    copied_by_ = nullptr;
    if (auto why = run(*what, answer, tag, true, texts_.size() == 1)) return answer + fail(*why) + ready();
    answer += complete(tag);
    if (text_ + 1 == texts_.size() && block_ == block::implicit) block_ = block::started;
    if (text_ + 1 == texts_.size() || what->is_of_transaction()) finish();
  }
  texts_.clear();
  return answer + ready();
}

std::string server::parse(const std::string& body) {
  const auto what = frontend::parse::decode(pgwire::as_bytes(body));
  start();
  const std::string name(what->statement);
  if (name.empty()) prepared_.erase("");
  const auto& all = read(std::string(what->query));
  if (!all) return fail({"42601", "syntax error"});
  if (all->size() > 1) return fail({"42601", "cannot insert multiple commands into a prepared statement"});
  const statement_ptr only = all->empty() ? nullptr : all->front();
  if (only) {
    if (block_ == block::failed && !only->ends_transaction()) return fail({"25P02", "current transaction is aborted"});
    if (auto why = analyse(*only)) return fail(*why);
  }
  if (prepared_.contains(name)) return fail({"42P05", "prepared statement \"" + name + "\" already exists"});
  // Servers know what an EXECUTE gives if its statement was there when it was parsed, and the lodge parses anew.
  const bool executes = only && only->what == statement::kind::execute;
  prepared_[name] = {only, false, only && !executes && returns_rows(*only)};
  return backend::parse_complete{}.encode();
}

std::string server::bind(const std::string& body) {
  const auto what = frontend::bind::decode(pgwire::as_bytes(body));
  start();
  const std::string name(what->statement), called(what->portal);
  const auto found = prepared_.find(name);
  if (found == prepared_.end()) {
    return fail({"26000", name.empty() ? "unnamed prepared statement does not exist"s
                                       : "prepared statement \"" + name + "\" does not exist"});
  }
  const statement_ptr runs = found->second.what;
  if (block_ == block::failed && (!runs || !runs->ends_transaction())) {
    return fail({"25P02", "current transaction is aborted"});
  }
  if (!called.empty() && portals_.contains(called)) {
    return fail({"42P03", "cursor \"" + called + "\" already exists"});
  }
  const bool lodges = runs && !runs->clients;
  if (called.empty()) {
    // Known: the lodge's own statements in a client's pipeline take its unnamed portal away. Here they do not.
    if (lodges) set_aside_ = portals_.contains(called) ? std::optional(portals_[called]) : std::nullopt;
    portals_.erase(called);
  }
  if (runs) {
    if (auto why = analyse(*runs)) return fail(*why);
  }
  portals_[called] = {runs, savepoints_.size(), runs && returns_rows(*runs), false};
  return backend::bind_complete{}.encode();
}

std::string server::describe(const std::string& body) {
  const auto what = frontend::describe::decode(pgwire::as_bytes(body));
  start();
  const std::string name(what->name);
  const auto shape = [&](const statement_ptr& of, bool rows) {
    return rows ? description(*of) : backend::no_data{}.encode();
  };
  if (what->target == frontend::target::statement) {
    const auto found = prepared_.find(name);
    if (found == prepared_.end()) {
      return fail({"26000", name.empty() ? "unnamed prepared statement does not exist"s
                                         : "prepared statement \"" + name + "\" does not exist"});
    }
    if (block_ == block::failed && found->second.rows) return fail({"25P02", "current transaction is aborted"});
    return backend::parameter_description{}.encode() + shape(found->second.what, found->second.rows);
  }
  const auto found = portals_.find(name);
  if (found == portals_.end()) return fail({"34000", "portal \"" + name + "\" does not exist"});
  if (block_ == block::failed && found->second.rows) return fail({"25P02", "current transaction is aborted"});
  return shape(found->second.what, found->second.rows);
}

std::string server::execute(const std::string& body) {
  const auto what = frontend::execute::decode(pgwire::as_bytes(body));
  start();
  const std::string name(what->portal);
  const auto found = portals_.find(name);
  if (found == portals_.end()) return fail({"34000", "portal \"" + name + "\" does not exist"});
  portal& at = found->second;
  if (!at.what) return backend::empty_query_response{}.encode();
  const statement_ptr runs = at.what;
  if (block_ == block::failed && !runs->ends_transaction()) return fail({"25P02", "current transaction is aborted"});
  if (at.done && !at.rows) return fail({"55000", "portal \"" + name + "\" cannot be run"});
  const bool again = std::exchange(at.done, true), rows = at.rows;
  if (again) {
    return complete_execute(*runs, complete(runs->what == statement::kind::show ? "SHOW" : "SELECT 0"));
  }
  if (runs->what == statement::kind::copy_in) {
    on_statement_(client_, runs->text + " " + state());
    std::string asked = backend::copy_in_response{}.encode();
    if (runs->fails_early()) return asked + fail({"55000", "cannot perform COPY FREEZE"});
    copying_ = copy::extended;
    copied_by_ = runs;
    return asked;
  }
  std::string answer, tag;
  if (auto why = run(*runs, answer, tag, rows, true)) return answer + fail(*why);
  if (name.empty() && !runs->clients) {
    portals_.erase(name);
    if (set_aside_) portals_[name] = *std::exchange(set_aside_, std::nullopt);
  }
  if (rows && what->most_rows == 1) {
    pipelining_ = true;
    return answer + backend::portal_suspended{}.encode();
  }
  return complete_execute(*runs, answer + complete(tag));
}

std::string server::complete_execute(const statement& what, std::string answer) {
  if (what.is_of_transaction() || std::exchange(commits_at_once_, false)) {
    finish();
  } else {
    pipelining_ = true;
  }
  return answer;
}

std::string server::close(const std::string& body) {
  const auto what = frontend::close::decode(pgwire::as_bytes(body));
  if (what->target == frontend::target::statement) {
    prepared_.erase(std::string(what->name));
  } else {
    portals_.erase(std::string(what->name));
  }
  return backend::close_complete{}.encode();
}

std::string server::call(const std::string& body) {
  const auto what = frontend::function_call::decode(pgwire::as_bytes(body));
  start();
  if (block_ == block::failed) return fail({"25P02", "current transaction is aborted"}) + ready();
  if (what->function == 0) return fail({"42883", "function with OID 0 does not exist"}) + ready();
  on_statement_(client_, "call " + std::to_string(what->function) + " " + state());
  if (what->function == 2078) {
    if (auto why = set(*what->arguments[0], std::string(*what->arguments[1]), false)) return fail(*why) + ready();
  }
  finish();
  return backend::function_call_response{}.encode() + ready();
}

std::string server::copy_message(const message& what) {
  if (what.type == 'H' || what.type == 'S') return {};
  const bool bad = what.type == 'd' && what.body.contains("bad");
  if (what.type == 'd' && !bad) return {};
  const copy how = std::exchange(copying_, copy::no);
  extended_ = how == copy::extended;
  if (what.type == 'c') {
    if (how == copy::simple) return go_on_simple();
    return complete_execute(*std::exchange(copied_by_, nullptr), complete("COPY 1"));
  }
  copied_by_ = nullptr;
  if (what.type == 'f' || bad) {
    const auto end = bad ? pgwire::result<frontend::copy_fail>(frontend::copy_fail{})
                         : frontend::copy_fail::decode(pgwire::as_bytes(what.body));
    const failure why{bad ? "22P02" : "57014",
                      bad ? "invalid input syntax" : "COPY from stdin failed: " + std::string(end->reason)};
    return fail(why) + (how == copy::simple ? ready() : ""s);
  }
  // It has not read the message's end, and never will.
  gone_ = true;
  return fail({"08P01", "unexpected message type during COPY from stdin"}) +
         error("FATAL", "08P01", "terminating connection because protocol synchronization was lost");
}

}  // namespace fuzz_model
