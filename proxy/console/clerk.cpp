#include "proxy/console/clerk.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "conf/settings.hpp"
#include "conf/words.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/lexer.hpp"
#include "proxy/worker.hpp"
#include "routing/ascii.hpp"

namespace proxy::console {

namespace sqlstate = pgwire::sqlstate;

namespace {

// How often a waiting command looks whether its time has come.
constexpr std::chrono::milliseconds looking_interval{100};

std::vector<std::string_view> log_levels() {
  return conf::words_of(conf::keys_of(conf::file_kind::daemon).find("log")->find("level")->row->type);
}

answer cancelled() { return answer::refused(refusal(sqlstate::query_canceled, "the command was cancelled")); }

answer told(std::string notice) {
  answer made;
  made.notice = std::move(notice);
  return made;
}
answer shown(table rows) {
  answer made;
  made.rows = std::move(rows);
  return made;
}
answer shown(std::expected<table, pgwire::error_report> rows) {
  return rows ? shown(std::move(*rows)) : answer::refused(std::move(rows.error()));
}

}  // namespace

clerk::clerk(worker& home, house& of, std::string by, std::function<bool()> wants_no_more)
    : home_(home),
      house_(of),
      executor_(home.context().get_executor()),
      by_(std::move(by)),
      wants_no_more_(std::move(wants_no_more)) {}

void clerk::cancel() {
  if (waits_) waits_->cancel();
}

task<answer> clerk::carry_out(const command& what) {
  switch (what.what) {
    case verb::talk: co_return answer();
    case verb::show: co_return co_await show(what);
    case verb::reload: co_return co_await reload();
    case verb::shutdown: house_.shut_down(by_, !what.value.empty()); co_return answer();
    case verb::pause: co_return co_await pause(what);
    case verb::kill: co_return co_await kill(what);
    case verb::kill_client: {
      kill_target whom;
      std::uint64_t id = 0;
      std::from_chars(what.subject.data(), what.subject.data() + what.subject.size(), id);
      whom.id = id;
      co_return co_await kill_sessions(std::move(whom));
    }
    case verb::kill_tenant: {
      kill_target whom;
      whom.tenant = what.subject;
      co_return co_await kill_sessions(std::move(whom));
    }
    case verb::reconnect:
    case verb::wait_close: co_return co_await reconnect(what);
    case verb::set:
    case verb::reset: co_return co_await set_log_level(what);
    case verb::hold:
    case verb::release:
    case verb::suspend:
    case verb::activate:
    case verb::resume:
    case verb::disable:
    case verb::enable: co_return co_await lay_over(what);
  }
  co_return answer();
}

pool_list clerk::pools() const { return home_.shared().pools.all(); }

// Nothing if the wait was ended.
task<client_list> clerk::clients() {
  std::function<void(reply<client_list>)> ask = [this](reply<client_list> to) { house_.clients(std::move(to)); };
  auto came = co_await hear<client_list>(std::move(ask));
  if (!came) co_return client_list();
  std::ranges::sort(*came, {}, &client_facts::id);
  co_return std::move(*came);
}

task<status_facts> clerk::status() {
  std::function<void(reply<status_facts>)> ask = [this](reply<status_facts> to) { house_.status(std::move(to)); };
  auto came = co_await hear<status_facts>(std::move(ask));
  co_return came.value_or(status_facts());
}

// What may be long is made apart from the event loop, whose other sessions would have to wait.
task<answer> clerk::made_apart(std::function<std::expected<table, pgwire::error_report>()> make) {
  auto made = co_await home_.shared().computing.run(executor_, std::move(make));
  if (made) co_return shown(std::move(*made));
  co_return answer::refused(refusal(sqlstate::limit_exceeded, "the lodge has too much to do", "Try again later."));
}

task<answer> clerk::show(const command& what) {
  using made = std::expected<table, pgwire::error_report>;
  const snapshot_ptr now = home_.current();
  switch (what.shown) {
    case thing::help: co_return shown(show_help());
    case thing::route: co_return shown(show_route(*now, what.subject));
    case thing::hosts: co_return shown(show_hosts(*now, home_.shared().servers));
    case thing::routes: {
      std::function<made()> make = [now] { return show_routes(now); };
      co_return co_await made_apart(std::move(make));
    }
    case thing::usage:
    case thing::stats:
    case thing::stats_totals:
    case thing::stats_averages:
    case thing::totals: {
      std::function<made()> make = [&of = house_, now, shown = what.shown] {
        return shown == thing::usage ? show_usage(of.usage()) : show_stats(shown, *now, of.usage(), *of.last_period());
      };
      co_return co_await made_apart(std::move(make));
    }
    case thing::version:
    case thing::config:
    case thing::state: {
      const status_facts facts = co_await status();
      if (wants_no_more_()) co_return cancelled();
      if (what.shown == thing::version) co_return shown(show_version(facts));
      co_return shown(what.shown == thing::config ? show_config(*now, facts) : show_state(*now, facts));
    }
    case thing::events: {
      using list = std::vector<event>;
      std::function<void(reply<list>)> ask = [this](reply<list> to) { house_.events(std::move(to)); };
      const auto came = co_await hear<list>(std::move(ask));
      if (!came) co_return cancelled();
      co_return shown(show_events(*came));
    }
    default: break;
  }
  client_list all = co_await clients();
  if (wants_no_more_()) co_return cancelled();
  std::function<made()> make = [shown = what.shown, subject = what.subject, now, all = std::move(all), pools = pools(),
                                &at_home = house_]() -> made {
    switch (shown) {
      case thing::clients: return show_clients(all);
      case thing::servers: return show_servers(all, pools);
      case thing::sockets: return show_sockets(all, pools);
      case thing::pins: return show_pins(all);
      case thing::users: return show_users(*now, all, pools);
      case thing::databases: return show_databases(*now, all, pools);
      case thing::pools: return show_pools(all, pools);
      case thing::lists: return show_lists(*now, all, pools);
      case thing::mem: return show_mem(*now, all, pools);
      case thing::tenant: return show_tenant(now, subject, all, pools, at_home);
      default: return show_tenants(now, all, pools, at_home);
    }
  };
  co_return co_await made_apart(std::move(make));
}

task<answer> clerk::reload() {
  std::function<void(reply<reload_outcome>)> ask = [this](reply<reload_outcome> to) {
    house_.reload(by_, std::move(to));
  };
  const auto came = co_await hear<reload_outcome>(std::move(ask));
  if (!came) co_return cancelled();
  if (came->errors.empty()) {
    std::string changes;
    for (const auto& one : came->changes) changes += (changes.empty() ? "" : ", ") + one;
    co_return told("version " + std::to_string(came->version) + ": " +
                   (changes.empty() ? "no change of routes" : changes));
  }
  auto why = refusal(sqlstate::config_file_error, "the configuration has errors: what was in force stays in force",
                     "Mend the files and RELOAD; 'pglodge check' shows the same.");
  for (const auto& one : came->errors) why.detail += (why.detail.empty() ? "" : "\n") + one;
  co_return answer::refused(std::move(why));
}

task<answer> clerk::set_log_level(const command& what) {
  const bool known =
      routing::same_setting(what.subject, "log_level") || routing::same_setting(what.subject, "log.level");
  if (!known) {
    co_return answer::refused(refusal(sqlstate::undefined_object,
                                      "the console sets no " + conf::in_quotes(what.subject),
                                      "It sets log_level. Everything else is changed in the files: SHOW CONFIG."));
  }
  const auto levels = log_levels();
  const auto level =
      std::ranges::find_if(levels, [&](std::string_view one) { return routing::same_setting(one, what.value); });
  const bool valid = what.what == verb::reset || level != levels.end();
  if (!valid) {
    co_return answer::refused(refusal(sqlstate::invalid_parameter_value,
                                      conf::in_quotes(what.value) + " is no log level",
                                      "Write " + conf::any_of_words(levels) + "."));
  }
  std::string word = what.what == verb::reset ? std::string() : std::string(*level);
  if (!what.tenant.empty()) co_return co_await lay_log_level(what, std::move(word));
  house_.set_log_level(by_, word);
  co_return answer();
}

task<answer> clerk::kill_sessions(kill_target whom) {
  if (whom.tenant && !home_.current()->routes->find(*whom.tenant)) {
    co_return answer::refused(no_such_tenant(*home_.current(), *whom.tenant));
  }
  std::function<void(reply<std::size_t>)> ask = [this, &whom](reply<std::size_t> to) {
    house_.kill(by_, whom, std::move(to));
  };
  const auto count = co_await hear<std::size_t>(std::move(ask));
  if (!count) co_return cancelled();
  if (whom.id && *count == 0) {
    co_return answer::refused(refusal(sqlstate::undefined_object, "there is no client " + std::to_string(*whom.id),
                                      "SHOW CLIENTS gives their ids."));
  }
  co_return told(std::to_string(*count) + " session(s) ended");
}

task<bool> clerk::pause_briefly() {
  auto point = std::make_shared<wait_point>(executor_);
  waits_ = point;
  co_await point->wait_until(clock::now() + looking_interval);
  waits_.reset();
  co_return !wants_no_more_();
}

// Connections of sessions of their own end with these; until then there is nothing to close.
task<std::optional<answer>> clerk::wait_until_closed(std::string place) {
  // The round comes to each worker behind what was laid over: from then on none lends by what was before.
  static_cast<void>(co_await clients());
  for (;;) {
    if (wants_no_more_()) co_return cancelled();
    std::size_t open = 0;
    for (const auto& pool : pools()) {
      std::set<std::string> idle_at;
      for (const auto& one : pool->connections()) {
        const bool meant = place.empty() || one.place == place;
        if (!meant) continue;
        ++open;
        if (one.is == ledger::status::idle) idle_at.insert(one.place);
      }
      for (const std::string& each : idle_at) pool->close_idle_of(each);
    }
    if (open == 0) co_return std::nullopt;
    if (!co_await pause_briefly()) co_return cancelled();
  }
}

task<std::optional<answer>> clerk::wait_until_renewed(std::string server) {
  for (;;) {
    const auto old = [](const server_pool::connection_report& one) { return one.close_needed && !one.own; };
    bool any = false;
    for (const auto& pool : pools()) {
      const bool meant = server.empty() || pool->server()->name == server;
      any = any || (meant && std::ranges::any_of(pool->connections(), old));
    }
    if (!any) co_return std::nullopt;
    if (!co_await pause_briefly()) co_return cancelled();
  }
}

std::optional<answer> clerk::unknown_place(const std::string& place) const {
  const auto& places = home_.current()->routes->parts().databases;
  if (place.empty() || places.contains(place)) return std::nullopt;
  std::vector<std::string_view> names;
  names.reserve(places.size());
  for (const auto& [name, of] : places) names.emplace_back(name);
  const auto near = conf::nearest(place, names);
  return answer::refused(refusal(
      sqlstate::invalid_catalog_name, "no such database: " + conf::in_quotes(place),
      near.empty() ? "SHOW DATABASES lists those of the routing table." : "Did you mean " + std::string(near) + "?"));
}

task<answer> clerk::reconnect(const command& what) {
  if (auto unknown = unknown_place(what.subject)) co_return std::move(*unknown);
  const auto& places = home_.current()->routes->parts().databases;
  const std::string server = what.subject.empty() ? "" : places.at(what.subject)->server->name;
  if (what.what == verb::wait_close) {
    auto failed = co_await wait_until_renewed(server);
    co_return failed ? std::move(*failed) : answer();
  }
  for (const auto& pool : pools()) {
    if (server.empty() || pool->server()->name == server) pool->reconnect();
  }
  house_.note(by_, "reconnect", what.subject, server.empty() ? "every server" : "server " + server);
  co_return answer();
}

task<answer> clerk::pause(const command& what) {
  answer done = co_await lay_over(what);
  if (done.error) co_return done;
  auto failed = co_await wait_until_closed(what.subject);
  co_return failed ? std::move(*failed) : done;
}

// Who would come back at once waits: a killed database is paused until RESUME.
task<answer> clerk::kill(const command& what) {
  answer paused = co_await lay_over(what);
  if (paused.error) co_return paused;
  kill_target whom;
  if (!what.subject.empty()) whom.place = what.subject;
  answer killed = co_await kill_sessions(std::move(whom));
  if (killed.error) co_return killed;
  auto failed = co_await wait_until_closed(what.subject);
  co_return failed ? std::move(*failed) : killed;
}

}  // namespace proxy::console
