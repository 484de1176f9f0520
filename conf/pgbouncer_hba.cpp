#include "conf/pgbouncer_hba.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "conf/units.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

constexpr std::size_t most_rules = 10'000;  // one line of a hundred databases and a hundred users

struct token {
  std::string text;
  bool quoted = false;  // then no keyword
};
using field = std::vector<token>;  // "a, b" is one field of two

// Nothing if a quote does not end.
std::optional<std::vector<field>> fields_of(std::string_view line) {
  std::vector<field> fields;
  bool goes_on = false;  // behind a comma
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty() || line.front() == '#') return fields;
    if (line.front() == ',') {
      goes_on = !fields.empty();
      line.remove_prefix(1);
      continue;
    }
    token one;
    if (line.front() == '"') {
      const auto close = line.find('"', 1);
      if (close == std::string_view::npos) return std::nullopt;
      one = {std::string(line.substr(1, close - 1)), true};
      line.remove_prefix(close + 1);
    } else {
      one.text = line.substr(0, line.find_first_of(" \t\r,\"#"));
      line.remove_prefix(one.text.size());
    }
    if (!goes_on) fields.emplace_back();
    goes_on = false;
    fields.back().push_back(std::move(one));
  }
}

// Whom a line is about. An empty name is everybody.
struct scope {
  std::optional<bool> tls;
  std::vector<std::string> databases, roles;
  bool is_local = false;
  std::vector<network> networks;
};

// How a line ends up: `unread` is passed over, as PgBouncer does; `unsaid` refuses.
enum class outcome : std::uint8_t { good, unread, unsaid };
struct verdict {
  outcome is = outcome::good;
  std::string why;
};

verdict unread(std::string why) { return {outcome::unread, std::move(why)}; }
verdict unsaid(std::string why) { return {outcome::unsaid, std::move(why)}; }

constexpr network every_v4{};
constexpr network every_v6{{ip_address::family::v6, {}}, 0};

verdict read_names(const field& names, bool are_databases, std::vector<std::string>& into) {
  verdict found;
  for (const token& one : names) {
    const bool is_word = !one.quoted;
    if (is_word && one.text == "all") {
      into = {""};
      return found;
    }
    if (is_word && are_databases && (one.text == "samerole" || one.text == "samegroup")) return unread(one.text);
    if (is_word && one.text.starts_with('+')) return unread("groups of roles");
    if (is_word && one.text.starts_with('@')) found = unsaid("names in a file of their own (@)");
    if (is_word && are_databases && one.text == "sameuser") found = unsaid("sameuser");
    if (one.text.empty()) found = unsaid("an empty name");
    into.push_back(one.text);
  }
  if (found.is != outcome::good) into = {""};
  return found;
}

// The address and, where it stands in a field of its own, the mask.
verdict read_network(const std::vector<field>& fields, std::size_t& at, std::vector<network>& into) {
  const std::string& text = fields[at++].front().text;
  if (text == "all") {
    into = {every_v4, every_v6};
    return {};
  }
  const auto slash = std::min(text.find('/'), text.size());
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return unread("an address that is no IP address");
  const bool is_mapped = address->kind == ip_address::family::v4 && text.contains(':');
  if (is_mapped) return unsaid("an IPv4 address written as IPv6");
  const auto bits = static_cast<std::uint64_t>(address->kind) * 8;
  std::uint64_t prefix = 0;
  if (slash < text.size()) {
    prefix = parse_integer(text.substr(slash + 1)).value_or(bits + 1);
  } else {
    const auto mask = at < fields.size() ? parse_ip(fields[at++].front().text) : std::nullopt;
    if (!mask || mask->kind != address->kind) return unread("an address without a mask");
    for (const std::uint8_t byte : mask->bytes) prefix += static_cast<std::uint64_t>(std::popcount(byte));
    ip_address ones{mask->kind, {}};
    ones.bytes.fill(0xff);
    if (masked(ones, static_cast<unsigned>(prefix)) != *mask) return unread("a mask with holes");
  }
  if (prefix > bits) return unread("a prefix that is too long");
  into = {{masked(*address, static_cast<unsigned>(prefix)), static_cast<std::uint8_t>(prefix)}};
  return {};
}

verdict read_method(std::string_view word, bool has_secrets, auth_method& into) {
  using enum auth_method;
  constexpr std::array<std::pair<std::string_view, auth_method>, 6> known{{{"trust", trust},
                                                                           {"reject", reject},
                                                                           {"md5", md5},
                                                                           {"password", password},
                                                                           {"cert", cert},
                                                                           {"scram-sha-256", scram_sha_256}}};
  if (word == "peer" || word == "ldap") return unsaid("the method " + std::string(word));
  const auto found = std::ranges::find(known, word, [](const auto& one) { return one.first; });
  if (found == known.end()) return unread("its method");
  into = found->second;
  const bool needs_secrets = into == md5 || into == password || into == scram_sha_256;
  if (needs_secrets && !has_secrets) return unsaid(std::string(word) + " without auth_file or auth_user");
  return {};
}

class hba_reader {
 public:
  explicit hba_reader(bool has_secrets) : has_secrets_(has_secrets) {}

  void read_line(std::string_view line, std::uint32_t number) {
    const auto fields = fields_of(line);
    if (fields && fields->empty()) return;
    scope whom;
    auth_method method = auth_method::reject;
    const verdict found = fields ? read_fields(*fields, number, whom, method) : unread("a quote that does not end");
    if (found.is == outcome::unread) {
      result_.remarks.push_back(
          {number, "not carried over: " + found.why + ": PgBouncer cannot read the line either, and passes over it"});
      return;
    }
    if (found.is == outcome::unsaid) {
      method = auth_method::reject;
      result_.remarks.push_back({number, "written as method: reject, for there is no counterpart of " + found.why +
                                             "; write a rule that says what you want instead"});
    }
    add(whom, method, number);
  }
  hba_reading take() && {
    result_.rules.emplace_back();  // whom no line fits
    return std::move(result_);
  }

 private:
  verdict read_fields(const std::vector<field>& fields, std::uint32_t number, scope& whom, auth_method& method) {
    const std::string& type = fields[0].front().text;
    if (type != "local" && type != "host" && type != "hostssl" && type != "hostnossl") return unread("its first word");
    whom.is_local = type == "local";
    if (type == "hostssl") whom.tls = true;
    if (type == "hostnossl") whom.tls = false;
    std::size_t at = 3;
    if (fields.size() < (whom.is_local ? 4u : 5u)) return unread("too few words");
    const verdict databases = read_names(fields[1], true, whom.databases);
    const verdict roles = read_names(fields[2], false, whom.roles);
    verdict address;
    if (!whom.is_local) {
      whom.networks = {every_v4, every_v6};
      address = read_network(fields, at, whom.networks);
    }
    if (at >= fields.size()) return unread("no method");
    const verdict way = read_method(fields[at++].front().text, has_secrets_, method);
    const verdict rest = at == fields.size() ? verdict{} : unsaid("options behind the method");
    // What PgBouncer passes over counts before what it would have done.
    const std::array<const verdict*, 5> all{&databases, &roles, &address, &way, &rest};
    for (const outcome worst : {outcome::unread, outcome::unsaid}) {
      for (const verdict* one : all) {
        if (one->is == worst) return *one;
      }
    }
    if (std::ranges::any_of(fields[1], [](const token& one) { return !one.quoted && one.text == "replication"; })) {
      result_.remarks.push_back(
          {number,
           "replication is written as the name of the database that such clients usually send; the "
           "server's own pg_hba.conf has the last word"});
    }
    return {};
  }

  void add(const scope& whom, auth_method method, std::uint32_t number) {
    using enum auth_rule::origin;
    auth_rule rule{.tls = whom.tls, .from = whom.is_local ? unix_socket : network, .method = method};
    const std::vector<conf::network> one_place(1);
    for (const conf::network& net : whom.is_local ? one_place : whom.networks) {
      rule.network = net;
      for (const std::string& database : whom.databases) {
        for (const std::string& role : whom.roles) {
          if (result_.rules.size() == most_rules) return full(number);
          rule.database = database;
          rule.role = role;
          result_.rules.push_back(rule);
        }
      }
    }
  }

  // Nothing after this counts: all that comes now is refused.
  void full(std::uint32_t number) {
    if (std::exchange(is_full_, true)) return;
    result_.remarks.push_back({number, "from here on nobody is let in: there would be too many rules"});
  }

  bool has_secrets_;
  bool is_full_ = false;
  hba_reading result_;
};

}  // namespace

hba_reading read_pgbouncer_hba(std::string_view text, bool has_secrets) {
  hba_reader reader(has_secrets);
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    reader.read_line(text.substr(0, end), number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::move(reader).take();
}

}  // namespace conf
