// What the sessions of one worker share to judge and prepare statements. For one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "protocol/verdict_cache.hpp"
#include "proxy/pool/prepared_statement.hpp"
#include "proxy/session/inventory.hpp"
#include "proxy/session/repeats.hpp"

namespace proxy {

struct statement_tools {
  /// `random`: gives numbers in [0, 1) that nobody can guess.
  statement_tools(std::atomic<std::uint64_t>& generation, double (*random)())
      : schema_generation(generation), random_fraction(random) {}

  pgwire::verdict_cache verdicts{std::size_t{8} * 1024 * 1024};
  statement_store statements;
  repeats seen;
  /// Who may set what servers call by this name; asked once. That takes about a millisecond, which is too long where
  /// one of these has just been set.
  std::unordered_map<std::string, setting_kind> settable{
      {"statement_timeout", setting_kind::anybodys},
      {"transaction_timeout", setting_kind::anybodys},
      {"lock_timeout", setting_kind::anybodys},
      {"idle_session_timeout", setting_kind::anybodys},
      {"idle_in_transaction_session_timeout", setting_kind::anybodys},
  };
  /// Counts statements, of all workers, that may have changed the schema under prepared ones.
  std::atomic<std::uint64_t>& schema_generation;
  double (*random_fraction)();
};

}  // namespace proxy
