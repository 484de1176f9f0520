// What may be lent: to a tenant, in a place, on the server; and who may be served by that.
#include <algorithm>

#include "proxy/pool/ledger.hpp"

namespace proxy {

ledger::grants ledger::set_most_connections(std::optional<std::uint32_t> most) {
  most_ = most;
  grants served = granted();
  serve_waiting(served);
  return served;
}

ledger::grants ledger::set_place_size(const std::string& name, std::optional<std::uint32_t> size) {
  grants served = granted();
  if (places_.find(name) == nullptr) return served;  // its first wish will say
  if (adopt(*places_.enrol(name), size)) serve_waiting(served);
  return served;
}

ledger::grants ledger::set_minimum(const std::string& name, std::uint32_t minimum) {
  grants served = granted();
  if (minimum == 0 && tenants_.find(name) == nullptr) return served;
  const auto of = tenants_.enrol(name);
  if (adopt(of, {of->most, minimum, of->weight})) serve_waiting(served);
  return served;
}

// Whether anything changed.
bool ledger::adopt(const tenants::handle& of, const terms& now) {
  tenant& who = *of;
  const std::uint32_t weight = std::max<std::uint32_t>(1, now.weight);
  if (who.most == now.most && who.minimum == now.minimum && who.weight == weight) return false;
  reserved_ -= who.lacks();
  who.most = now.most;
  who.minimum = now.minimum;
  who.weight = weight;
  reserved_ += who.lacks();
  if (who.minimum > 0) {
    reserved_for_.try_emplace(&who, of);
  } else {
    reserved_for_.erase(&who);
  }
  stand(who);
  return true;
}

bool ledger::adopt(place& in, std::optional<std::uint32_t> size) {
  if (in.size == size) return false;
  in.size = size;
  stand(in);
  return true;
}

void ledger::count_lent(tenant& of, place& in, bool lent) {
  reserved_ -= of.lacks();
  if (lent) {
    ++of.lent;
    ++in.lent;
    ++lent_;
  } else {
    --of.lent;
    --in.lent;
    --lent_;
  }
  reserved_ += of.lacks();
  stand(of);
  stand(in);
}

void ledger::stand(tenant& of) {
  using enum fair_queue::standing;
  if (of.most && of.lent >= *of.most) {
    of.stands = barred;
  } else {
    of.stands = of.lent < of.minimum ? guaranteed : ordinary;
  }
  queue_.reposition(of);
}

void ledger::stand(place& in) {
  const bool open = !in.size || in.lent < *in.size;
  if (open == in.open) return;
  in.open = open;
  queue_.reposition(in);
}

}  // namespace proxy
