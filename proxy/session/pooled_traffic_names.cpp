// Of the client's prepared statements: those that SQL speaks of, which a server has to have under the client's own name
// for as long as the message at hand takes, and those that are to be closed there.
#include <string>
#include <utility>
#include <vector>

#include "protocol/frontend_messages.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace proxy {

namespace frontend = pgwire::frontend;

// For SQL that speaks of a statement which the client prepared by the protocol.
void pooled_traffic::have_under_own_names(const std::vector<std::string>& names, bool simple, byte_run& to_server) {
  for (const std::string& name : names) {
    const client_statement* const known = named_.find(name);
    if (known != nullptr) have_under_own_name(name, *known->statement, simple, to_server);
  }
}

void pooled_traffic::have_under_own_name(const std::string& name, const prepared_statement& statement, bool simple,
                                         byte_run& to_server) {
  close_own(name, simple, to_server);  // where an error has kept it from being closed
  to_server.insert(frontend::parse{name, statement.text, statement.parameter_types}.encode());
  expected entry{kind::parse};
  entry.silent = true;
  entry.client_name = name;
  if (simple) entry.whose = owner::helper;
  push(std::move(entry));
  if (simple) {
    to_server.insert(frontend::sync{}.encode());
    push(kind::sync).whose = owner::helper;
  }
  if (!own_names_) own_names_.emplace();
  own_names_->push_back(name);
}

// With the message at hand. Nobody may find them there later, not even this client, which may have closed the name by
// then, or given it to something else.
void pooled_traffic::forget_own_names(bool simple, byte_run& to_server) {
  const auto names = own_names_.take();
  if (!names) return;
  for (const std::string& name : *names) close_own(name, simple, to_server);
  if (!simple) return;
  to_server.insert(frontend::sync{}.encode());
  push(kind::sync).whose = owner::helper;
}

void pooled_traffic::close_own(const std::string& name, bool simple, byte_run& to_server) {
  to_server.insert(frontend::close{frontend::target::statement, name}.encode());
  expected entry{kind::close};
  entry.silent = true;
  entry.client_name = name;
  if (simple) entry.whose = owner::helper;
  push(std::move(entry));
}

void pooled_traffic::close_unwanted(byte_run& to_server) {
  if (!server_->statements.has_unwanted()) return;
  for (const std::string& name : server_->statements.take_unwanted()) {
    close_own(name, true, to_server);
  }
}

}  // namespace proxy
