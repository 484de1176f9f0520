// The clients of the pooled traffic's fuzzer: who they are, and what the input may have them say. Left out is where the
// lodge is known to be another than a server of one's own; each such case says so.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "choices.hpp"
#include "protocol/frontend_messages.hpp"
#include "proxy/session/pooled_traffic.hpp"
#include "server.hpp"
#include "told.hpp"

namespace fuzz_model {

namespace frontend = pgwire::frontend;

// With PGLODGE_FUZZ_TRACE in the environment what is said is shown.
inline const bool tracing = std::getenv("PGLODGE_FUZZ_TRACE") != nullptr;

inline void trace(std::string_view who, std::string_view what) {
  if (!tracing) return;
  std::cerr << who << ": ";
  for (const char c : what) {
    if (c >= ' ' && c <= '~') {
      std::cerr << c;
    } else {
      std::cerr << '.';
    }
  }
  std::cerr << '\n';
}

inline void must(bool holds, std::string_view why) {
  if (holds) return;
  std::cerr << "broken: " << why << '\n';
  std::abort();
}

inline const defaults servers_own{"none", "public", "4MB", ""};

// What clients say. $ stands for what is their tenant's.
inline constexpr auto texts = std::to_array<std::string_view>({
    "SELECT here() /*c*/",
    "SELECT 1 /*c*/",
    "SHOW work_mem /*c*/",
    "SHOW search_path /*c*/",
    "SHOW role /*c*/",
    "SET work_mem TO '1MB' /*c*/",
    "SET work_mem TO '2MB' /*c*/",
    "SET LOCAL work_mem TO '3MB' /*c*/",
    "RESET work_mem /*c*/",
    "SET search_path TO $path2 /*c*/",
    "SET LOCAL search_path TO $path3 /*c*/",
    "RESET search_path /*c*/",
    "SET ROLE $role2 /*c*/",
    "SET LOCAL ROLE $role3 /*c*/",
    "RESET ROLE /*c*/",
    "SET ROLE NONE /*c*/",
    "RESET ALL /*c*/",
    "DISCARD ALL /*c*/",
    "BEGIN /*c*/",
    "COMMIT /*c*/",
    "ROLLBACK /*c*/",
    "SAVEPOINT a /*c*/",
    "ROLLBACK TO a /*c*/",
    "RELEASE a /*c*/",
    "SELECT set_config('work_mem', '5MB', false) /*c*/",
    "SELECT set_config('search_path', '$path4', true) /*c*/",
    "SELECT fails() /*c*/",
    "SELECT broken /*c*/",
    "SELEKT /*c*/",
    "SET work_mem TO 'bad' /*c*/",
    "RESET ALL /*c*/; SELECT here() /*c*/",
    "RESET ROLE /*c*/; SELECT here() /*c*/",
    "SELECT 1 /*c*/; RESET search_path /*c*/",
    "SET work_mem TO '6MB' /*c*/; SELECT fails() /*c*/",
    "SET work_mem TO '6MB' /*c*/; COMMIT /*c*/; SET search_path TO $path2 /*c*/; SELECT fails() /*c*/",
    "BEGIN /*c*/; SET ROLE $role2 /*c*/; SAVEPOINT a /*c*/",
    "SET LOCAL work_mem TO DEFAULT /*c*/",
    "SET search_path TO DEFAULT /*c*/",
    "SET application_name TO $app /*c*/",
    "RESET application_name /*c*/",
    "",
    "DISCARD ALL /*c*/; SELECT 1 /*c*/",
    "COPY t TO STDOUT /*c*/",
    "COPY t FROM STDIN /*c*/",
    "SELECT 1 /*c*/; COPY t FROM STDIN /*c*/; SELECT here() /*c*/",
    "PREPARE q1 AS SELECT here() /*c*/",
    "PREPARE q2 AS SELECT set_config('work_mem', '9MB', false) /*c*/",
    "EXECUTE s1 /*c*/",
    "EXECUTE q1 /*c*/",
    "EXECUTE q2 /*c*/",
    "DEALLOCATE q1 /*c*/",
    "DEALLOCATE s1 /*c*/",
    "DEALLOCATE ALL /*c*/",
    "LISTEN n /*c*/",
    "UNLISTEN * /*c*/",
    "CREATE TEMP TABLE tt () /*c*/",
    "DROP TABLE tt /*c*/",
    "SELECT (TABLE tt) /*c*/",
    "SELECT pg_advisory_lock(1) /*c*/",
    "SELECT pg_advisory_unlock_all() /*c*/",
    "DO 'set_something' /*c*/",
    "COPY t FROM STDIN (FREEZE) /*c*/",
});

inline std::string text_for(const std::string& tenant, unsigned which) {
  std::string text(texts[which % texts.size()]);
  for (auto at = text.find('$'); at != std::string::npos; at = text.find('$')) text.replace(at, 1, tenant + "_");
  return text;
}

// By the protocol; SQL has others, since the lodge does not find a clash between what Parse and PREPARE have named.
inline constexpr std::array<std::string_view, 3> statement_names{"", "s1", "s2"};
inline constexpr std::array<std::string_view, 2> portal_names{"", "p1"};

struct client {
  client(int slot, std::uint64_t number, unsigned kind, proxy::statement_tools& tools)
      : tenant(slot % 2 == 0 ? "acme" : "globex"),
        traffic(number, tools),
        own(start_of(kind), [this](int, std::string what) { due.push_back(std::move(what)); }) {
    const defaults start = start_of(kind);
    routing::setting_list tenants{{"search_path", start[1]}}, own_settings;
    if (start[0] != "none") tenants.emplace_back("role", start[0]);
    if (start[2] != servers_own[2]) own_settings.emplace_back("work_mem", start[2]);
    if (!start[3].empty()) own_settings.emplace_back("application_name", start[3]);
    proxy::session_terms terms{tenant, std::make_shared<const routing::session_state>(tenants, own_settings),
                               proxy::session_guard()};
    terms.prepare = std::array{routing::prepare_mode::repeated, routing::prepare_mode::named,
                               routing::prepare_mode::off}[kind / 8 % 3];
    traffic.set_terms(std::make_shared<const proxy::session_terms>(std::move(terms)));
    traffic.greet(std::make_shared<const proxy::parameter_map>(
        proxy::parameter_map{{std::string(setting_names[reported_at]), start[3]}}));
    told.application_name = own_told.application_name = start[3];
  }
  client(const client&) = delete;

  [[nodiscard]] defaults start_of(unsigned kind) const {
    return {kind % 2 != 0 ? tenant + "_role" : servers_own[0], tenant + "_path",
            kind / 2 % 2 != 0 ? "7MB" : servers_own[2], kind / 4 % 2 != 0 ? tenant + "_app" : servers_own[3]};
  }

  std::string tenant;
  proxy::pooled_traffic traffic;
  server own;                    // of its own
  std::vector<std::string> due;  // the statements that ran there, and in which states
  std::size_t ran = 0;           // of these, at the shared one
  told own_told, told;           // by its own; by the lodge
  std::string unsent;            // not yet received by the lodge
  std::string chunk;             // the lodge reads this
  proxy::pooled_traffic::step last = proxy::pooled_traffic::step::starved;
  bool fed = false;     // its own server has had COPY data
  bool strays = false;  // it has sent a Sync behind that
};

inline std::string copy(unsigned which) {
  switch (which % 4) {
    case 0: return frontend::copy_done{}.encode();
    case 1: return frontend::copy_fail{"no"}.encode();
    default: return frontend::copy_data{"1\n"}.encode();
  }
}

inline std::string call(unsigned which) {
  frontend::function_call made;
  made.function = std::array{952U, 2078U, 0U}[which % 3];
  if (made.function == 2078) made.arguments = {"work_mem", "5MB", "f"};
  return made.encode();
}

inline std::string message(const client& from, choices& chosen) {
  const unsigned what = chosen.next();
  const unsigned which = what / 16;
  const std::string_view name = statement_names[which % 3], portal = portal_names[which / 4 % 2];
  const auto target = which / 8 == 0 ? frontend::target::statement : frontend::target::portal;
  const auto text = [&] { return text_for(from.tenant, chosen.next()); };
  switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: return frontend::query{text()}.encode();
    case 4:
    case 5: return frontend::parse{name, text(), {}}.encode();
    case 6: return frontend::bind{portal, name, {}, {}, {}}.encode();
    case 7: return frontend::describe{target, target == frontend::target::portal ? portal : name}.encode();
    case 8: return frontend::execute{portal, static_cast<std::int32_t>(which / 8)}.encode();
    case 9: return frontend::close{target, target == frontend::target::portal ? portal : name}.encode();
    case 10: return which % 4 == 0 ? frontend::flush{}.encode() : frontend::sync{}.encode();
    case 11: return copy(which);
    case 12: return which % 4 == 0 ? frontend::terminate{}.encode() : call(which);
    case 13:
      return frontend::bind{portal, name, {}, {}, {}}.encode() + frontend::execute{portal, 0}.encode() +
             (which / 8 == 0 ? frontend::sync{}.encode() : std::string());
    default:
      return frontend::parse{name, text(), {}}.encode() + frontend::bind{portal, name, {}, {}, {}}.encode() +
             (which % 2 == 0 ? frontend::describe{frontend::target::portal, portal}.encode() : std::string()) +
             frontend::execute{portal, 0}.encode() + (which / 8 == 0 ? frontend::sync{}.encode() : std::string());
  }
}

inline bool may_say(const client& from, const std::string& what) {
  if (from.own.gone()) return false;
  // The model looks at what an EXECUTE runs when its portal is described, PostgreSQL when it is bound.
  if (what[0] == 'P' && what.contains("EXECUTE s1")) return false;
  // What a Query names is not put there in a pipeline that has no Sync yet: that of the help would end it.
  if (what[0] == 'Q' && what.contains(" s1 ") && from.own.needs_sync()) return false;
  // Known: a Query that a failed pipeline skips counts as one that took the unnamed statement away.
  if ((what[0] == 'Q' || what[0] == 'F') && from.own.skips()) return false;
  // POOLING.md, "Where an error was found": what has to be prepared again in a failed transaction is refused then.
  if (what[0] == 'D' && from.own.failed()) return false;
  // Known: what a pipeline prepares behind its DEALLOCATE is taken for deallocated.
  if (what[0] == 'P' && what.contains("DEALLOCATE")) return false;
  return true;
}

}  // namespace fuzz_model
