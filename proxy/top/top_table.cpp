#include "proxy/top/top_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

namespace proxy::top {
namespace {

// Finds columns by their names, and says which was not there.
class reader {
 public:
  explicit reader(const answer_table& from) : from_(from) {}

  std::size_t column(std::string_view name) {
    const auto found = std::ranges::find(from_.heads, name);
    if (found == from_.heads.end() && missing_.empty()) missing_ = name;
    return static_cast<std::size_t>(found - from_.heads.begin());
  }
  [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
  const answer_table& from_;
  std::string missing_;
};

// Names come from files: a control character must not reach a terminal.
std::string printable(const std::string& text) {
  std::string made = text;
  for (char& c : made) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return made;
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

double risen(std::uint64_t now, std::uint64_t before) { return now > before ? static_cast<double>(now - before) : 0; }

double value_of(const row& one, column by) {
  switch (by) {
    case column::tenant: break;
    case column::clients: return static_cast<double>(one.clients);
    case column::active: return static_cast<double>(one.active);
    case column::waiting: return static_cast<double>(one.waiting);
    case column::tx: return one.tx;
    case column::statements: return one.statements;
    case column::errors: return one.errors;
    case column::bytes: return one.bytes;
    case column::time: return one.time;
    case column::wait: return one.wait;
    case column::p99: return one.p99;
    case column::busy: return one.busy;
  }
  return 0;
}

struct shown_column {
  column what;
  std::string_view head;
  int width;
  int digits;  ///< behind the point
};
constexpr std::array shown_columns{
    shown_column{column::clients, "clients", 8, 0}, shown_column{column::active, "active", 7, 0},
    shown_column{column::waiting, "waiting", 8, 0}, shown_column{column::tx, "tx/s", 9, 1},
    shown_column{column::statements, "st/s", 9, 1}, shown_column{column::errors, "err/s", 7, 1},
    shown_column{column::time, "ms/tx", 9, 2},      shown_column{column::wait, "wait/tx", 9, 2},
    shown_column{column::p99, "p99", 9, 2},         shown_column{column::busy, "servers", 8, 2},
    shown_column{column::bytes, "KiB/s", 9, 0}};

constexpr std::size_t name_width = 20;

std::string fitted(std::string text, std::size_t width) {
  text.resize(width, ' ');
  return text;
}

std::string aligned(double value, const shown_column& how) {
  constexpr double kib = 1024;
  std::array<char, 64> text{};
  const double told = how.what == column::bytes ? value / kib : value;
  const int n = std::snprintf(text.data(), text.size(), "%*.*f", how.width, how.digits, told);
  return {text.data(), static_cast<std::size_t>(std::clamp(n, 0, 63))};
}

std::string head_of(const shown_column& one) {
  std::string text(one.head);
  text.insert(0, static_cast<std::size_t>(one.width) - std::min(text.size(), static_cast<std::size_t>(one.width)), ' ');
  return text;
}

std::string line_of(const row& one) {
  std::string line = fitted(one.tenant.empty() ? "(none)" : one.tenant, name_width);
  for (const auto& each : shown_columns) line += aligned(value_of(one, each.what), each);
  return line + "  " + one.state + "  " + one.place;
}

std::string summary(const std::vector<row>& rows, const look& now, order how) {
  row sum;
  for (const row& one : rows) {
    sum.clients += one.clients;
    sum.waiting += one.waiting;
    sum.tx += one.tx;
    sum.busy += one.busy;
  }
  const auto by = std::ranges::find(sort_choices(), how.by, &sort_choice::by);
  std::array<char, 200> text{};
  const int n = std::snprintf(
      text.data(), text.size(), "%zu tenants, %llu clients, %llu waiting, %.1f tx/s, %.2f servers busy; by %s%s",
      now.tenants.size(), static_cast<unsigned long long>(sum.clients), static_cast<unsigned long long>(sum.waiting),
      sum.tx, sum.busy, std::string(by->word).c_str(), how.turned ? ", turned" : "");
  return {text.data(), static_cast<std::size_t>(std::clamp(n, 0, 199))};
}

}  // namespace

const std::vector<sort_choice>& sort_choices() {
  static const std::vector<sort_choice> all{
      {column::tenant, 'n', "tenant"},   {column::clients, 'c', "clients"}, {column::active, 'a', "active"},
      {column::waiting, 'w', "waiting"}, {column::tx, 't', "tx"},           {column::statements, 's', "statements"},
      {column::errors, 'e', "errors"},   {column::bytes, 'k', "bytes"},     {column::time, 'm', "time"},
      {column::wait, 'l', "wait"},       {column::p99, '9', "p99"},         {column::busy, 'b', "busy"}};
  return all;
}

std::expected<look, std::string> look::of(const answer_table& tenants, const answer_table& usage,
                                          std::chrono::steady_clock::time_point when) {
  look made;
  made.when = when;
  reader in_tenants(tenants);
  const auto name = in_tenants.column("tenant");
  const auto state = in_tenants.column("state");
  const auto place = in_tenants.column("database");
  const auto server = in_tenants.column("server");
  const auto clients = in_tenants.column("clients");
  const auto active = in_tenants.column("active");
  const auto waiting = in_tenants.column("waiting");
  const auto p99 = in_tenants.column("p99_us");
  if (!in_tenants.missing().empty()) return std::unexpected("SHOW TENANTS has no column " + in_tenants.missing());
  for (const auto& cells : tenants.rows) {
    tenant& one = made.tenants[printable(cells[name])];
    one.state = printable(cells[state]);
    one.place = printable(cells[place]);
    one.server = printable(cells[server]);
    one.clients = number(cells[clients]);
    one.active = number(cells[active]);
    one.waiting = number(cells[waiting]);
    one.p99 = number(cells[p99]);
  }
  reader in_usage(usage);
  const auto who = in_usage.column("tenant");
  const std::array counts{std::pair{in_usage.column("transactions"), &tenant::transactions},
                          std::pair{in_usage.column("statements"), &tenant::statements},
                          std::pair{in_usage.column("errors"), &tenant::errors},
                          std::pair{in_usage.column("bytes_in"), &tenant::bytes},
                          std::pair{in_usage.column("bytes_out"), &tenant::bytes},
                          std::pair{in_usage.column("busy_us"), &tenant::busy},
                          std::pair{in_usage.column("waiting_us"), &tenant::waited}};
  if (!in_usage.missing().empty()) return std::unexpected("SHOW USAGE has no column " + in_usage.missing());
  for (const auto& cells : usage.rows) {
    tenant& one = made.tenants[printable(cells[who])];
    for (const auto& [at, value] : counts) one.*value += number(cells[at]);
  }
  return made;
}

std::vector<row> compare(const look& before, const look& now, order how, idle_tenants idle) {
  const double seconds = std::max(std::chrono::duration<double>(now.when - before.when).count(), 1e-3);
  std::vector<row> rows;
  for (const auto& [name, one] : now.tenants) {
    const auto found = before.tenants.find(name);
    const look::tenant was = found == before.tenants.end() ? look::tenant() : found->second;
    row made{name, one.state, one.place.empty() ? "" : one.place + " on " + one.server};
    made.clients = one.clients;
    made.active = one.active;
    made.waiting = one.waiting;
    constexpr double us_in_ms = 1e3;
    made.p99 = static_cast<double>(one.p99) / us_in_ms;
    constexpr double us_in_s = 1e6;
    const double transactions = risen(one.transactions, was.transactions);
    const double busy = risen(one.busy, was.busy);
    const double waited = risen(one.waited, was.waited);
    made.tx = transactions / seconds;
    made.statements = risen(one.statements, was.statements) / seconds;
    made.errors = risen(one.errors, was.errors) / seconds;
    made.bytes = risen(one.bytes, was.bytes) / seconds;
    made.busy = busy / us_in_s / seconds;
    if (transactions > 0) {
      made.time = busy / us_in_ms / transactions;
      made.wait = waited / us_in_ms / transactions;
    }
    const bool does_something = made.clients + made.active + made.waiting > 0 || made.tx + made.bytes + made.busy > 0;
    if (does_something || idle == idle_tenants::shown) rows.push_back(std::move(made));
  }
  std::ranges::sort(rows, [&](const row& a, const row& b) {
    const row& first = how.turned ? b : a;
    const row& second = how.turned ? a : b;
    if (how.by == column::tenant) return first.tenant < second.tenant;
    const double one = value_of(first, how.by);
    const double other = value_of(second, how.by);
    return one != other ? one > other : a.tenant < b.tenant;
  });
  return rows;
}

std::vector<std::string> draw(const std::vector<row>& rows, const look& now, order how, screen size) {
  std::vector<std::string> lines{summary(rows, now, how)};
  std::string heads = fitted("tenant", name_width);
  for (const auto& one : shown_columns) heads += head_of(one);
  lines.push_back(heads + "  state  place");
  for (const row& one : rows) {
    if (size.lines > 0 && lines.size() >= size.lines) break;
    lines.push_back(line_of(one));
  }
  for (std::string& line : lines) {
    if (line.size() > size.width) line.resize(size.width);
  }
  return lines;
}

}  // namespace proxy::top
