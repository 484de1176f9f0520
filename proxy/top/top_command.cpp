// `pglodge top`: looks at the console again and again, and draws what has happened in between.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <utility>

#include "conf/load.hpp"
#include "conf/units.hpp"
#include "conf/words.hpp"
#include "proxy/command_line.hpp"
#include "proxy/commands.hpp"
#include "proxy/console/console_session.hpp"
#include "proxy/top/console_client.hpp"
#include "proxy/top/terminal.hpp"

namespace proxy {
namespace {

using namespace top;
using std::chrono::milliseconds;

constexpr milliseconds least_interval{100};

int complain(const std::string& what, int code) {
  std::cerr << "pglodge: " << what << '\n';
  return code;
}

// As libpq takes it between single quotes.
std::string between_quotes(const std::string& value) {
  std::string made = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') made += '\\';
    made += c;
  }
  return made + "'";
}

// The first door. What the environment says of users and passwords holds.
std::string console_of(const conf::daemon_settings& settings) {
  const conf::listen_settings& door = settings.listen.front();
  std::string host = door.unix_folder.empty() ? door.address : door.unix_folder.string();
  if (host == "*" || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  std::string where = "host=" + between_quotes(host) + " port=" + std::to_string(door.port) +
                      " dbname=" + between_quotes(std::string(console::database_name));
  const char* user = std::getenv("PGUSER");
  if (user == nullptr && !settings.admin.users.empty())
    where += " user=" + between_quotes(settings.admin.users.front());
  return where;
}

struct settings_of_top {
  std::string where;
  milliseconds interval{};
  order how;
  idle_tenants idle = idle_tenants::left_out;
};

std::expected<order, std::string> order_of(const std::string& word) {
  const auto found = std::ranges::find(sort_choices(), word, &sort_choice::word);
  if (found != sort_choices().end()) return order{found->by, false};
  std::vector<std::string_view> words;
  for (const sort_choice& one : sort_choices()) words.push_back(one.word);
  return std::unexpected("--sort: " + conf::in_quotes(word) + " is no column; write " + conf::any_of_words(words));
}

int once(console_client& from, const settings_of_top& settings) {
  const auto before = from.take_look();
  if (!before) return complain(before.error(), exit_failed);
  std::this_thread::sleep_for(settings.interval);
  const auto now = from.take_look();
  if (!now) return complain(now.error(), exit_failed);
  constexpr std::size_t any_width = 1000;
  const auto rows = compare(*before, *now, settings.how, settings.idle);
  for (const std::string& line : draw(rows, *now, settings.how, {any_width, 0})) std::cout << line << '\n';
  std::cout.flush();
  return std::cout ? exit_done : complain("the table could not be written to standard output", exit_failed);
}

// Empty: somebody wants to leave. Else why it cannot go on.
std::string watch(console_client& from, settings_of_top settings) {
  auto now = from.take_look();
  if (!now) return now.error();
  look before = *now;
  for (;;) {
    const screen size = terminal::size();
    if (size.width < smallest.width || size.lines < smallest.lines) {
      terminal::draw({"too small"});
    } else {
      terminal::draw(draw(compare(before, *now, settings.how, settings.idle), *now, settings.how, size));
    }
    const auto until = now->when + settings.interval;
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    const auto key = terminal::key_within(left);
    constexpr char control_c = 3;
    if (key == 'q' || key == control_c) return {};
    const auto choice = std::ranges::find(sort_choices(), key.value_or('\0'), &sort_choice::key);
    if (choice != sort_choices().end()) settings.how = {choice->by, false};
    if (key == 'r') settings.how.turned = !settings.how.turned;
    if (key == 'i') settings.idle = settings.idle == idle_tenants::shown ? idle_tenants::left_out : idle_tenants::shown;
    if (std::chrono::steady_clock::now() < until) continue;
    auto next = from.take_look();
    if (!next) return next.error();
    before = std::exchange(*now, std::move(*next));
  }
}

}  // namespace

int show_top(const std::filesystem::path& config, const top_arguments& arguments) {
  settings_of_top settings;
  const auto interval = conf::parse_duration(arguments.interval);
  if (!interval) return complain("--interval: " + interval.error(), exit_usage);
  if (*interval < least_interval) return complain("--interval: write at least 100ms", exit_usage);
  settings.interval = *interval;
  const auto how = order_of(arguments.sort);
  if (!how) return complain(how.error(), exit_usage);
  settings.how = *how;
  settings.idle = arguments.all ? idle_tenants::shown : idle_tenants::left_out;
  settings.where = arguments.url;
  if (settings.where.empty()) {
    const conf::loaded loaded = conf::load_settings(config);
    for (const std::string& error : loaded.errors) std::cerr << error << '\n';
    if (!loaded.settings) return exit_failed;
    settings.where = console_of(*loaded.settings);
  }
  auto from = console_client::open(settings.where);
  if (!from) return complain(from.error(), exit_failed);
  if (arguments.once) return once(*from, settings);
  std::string why;
  {
    const auto screen = terminal::open();
    if (!screen) return complain(screen.error(), exit_usage);
    why = watch(*from, settings);
  }
  return why.empty() ? exit_done : complain(why, exit_failed);
}

}  // namespace proxy
