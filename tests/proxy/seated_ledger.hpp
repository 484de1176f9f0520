// A ledger whose askers wait in seats that it keeps for them, by their number.
#pragma once

#include <map>
#include <optional>

#include "proxy/pool/ledger.hpp"

struct seated_ledger : proxy::ledger {
  using ledger::ledger;
  std::optional<proxy::grant> ask(const proxy::connection_wish& wish) { return ledger::ask(wish, seats[wish.who]); }
  bool withdraw(proxy::waiter_id who) { return ledger::withdraw(seats[who]); }

  std::map<proxy::waiter_id, waiter> seats;
};
