#include "proxy/pool/parameters.hpp"

#include <algorithm>
#include <cstdint>

#include "protocol/backend_messages.hpp"
#include "protocol/frame_cutter.hpp"
#include "protocol/message_type.hpp"

namespace proxy {

parameters_ptr parameters_in(std::string_view messages) {
  auto found = std::make_shared<parameter_map>();
  pgwire::frame_rules rules = pgwire::backend_rules();
  for (auto& rule : rules.of) {
    rule.most_length = INT32_MAX;
    rule.look = pgwire::frame_rules::attention::want_body;
  }
  pgwire::frame_cutter cutter(rules, messages.size());
  cutter.feed(pgwire::as_bytes(messages));
  while (const auto* piece = cutter.peek()) {
    if (piece->type == pgwire::backend_type::parameter_status) {
      if (const auto status = pgwire::backend::parameter_status::decode(piece->body())) {
        (*found)[std::string(status->name)] = status->value;
      }
    }
    cutter.pop();
  }
  return found;
}

parameters_ptr with_changes(const parameters_ptr& parameters, const parameter_map& later) {
  const auto is_known = [&](const auto& one) {
    const auto found = parameters->find(one.first);
    return found != parameters->end() && found->second == one.second;
  };
  if (std::ranges::all_of(later, is_known)) return parameters;
  auto all = std::make_shared<parameter_map>(*parameters);
  for (const auto& [name, value] : later) all->insert_or_assign(name, value);
  return all;
}

std::string encode_greeting(const parameter_map& parameters) {
  std::string greeting = pgwire::backend::authentication{}.encode();
  for (const auto& [name, value] : parameters) {
    greeting += pgwire::backend::parameter_status{name, value}.encode();
  }
  return greeting;
}

}  // namespace proxy
