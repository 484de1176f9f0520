// From tokens to commands. The grammar is small enough to be read off the functions below, one a command.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "conf/words.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/command.hpp"

namespace proxy::console {

namespace sqlstate = pgwire::sqlstate;

namespace {

constexpr std::array<std::string_view, thing_count> things{
    "HELP",    "VERSION", "CONFIG",  "STATE",  "LISTS", "MEM",   "DATABASES",    "POOLS",
    "CLIENTS", "SERVERS", "SOCKETS", "USERS",  "HOSTS", "STATS", "STATS_TOTALS", "STATS_AVERAGES",
    "TOTALS",  "TENANTS", "TENANT",  "ROUTES", "ROUTE", "PINS",  "USAGE",        "EVENTS"};

enum class operand : std::uint8_t { none, optional, needed };
struct verb_form {
  verb what;
  std::string_view word;
  operand takes;  ///< the subject
};
constexpr std::array verbs{
    verb_form{verb::show, "SHOW", operand::none},
    verb_form{verb::reload, "RELOAD", operand::none},
    verb_form{verb::shutdown, "SHUTDOWN", operand::none},
    verb_form{verb::pause, "PAUSE", operand::optional},
    verb_form{verb::resume, "RESUME", operand::optional},
    verb_form{verb::disable, "DISABLE", operand::needed},
    verb_form{verb::enable, "ENABLE", operand::needed},
    verb_form{verb::reconnect, "RECONNECT", operand::optional},
    verb_form{verb::wait_close, "WAIT_CLOSE", operand::optional},
    verb_form{verb::kill, "KILL", operand::optional},
    verb_form{verb::kill_client, "KILL_CLIENT", operand::needed},
    verb_form{verb::hold, "HOLD", operand::needed},
    verb_form{verb::release, "RELEASE", operand::needed},
    verb_form{verb::suspend, "SUSPEND", operand::needed},
    verb_form{verb::activate, "ACTIVATE", operand::needed},
    verb_form{verb::set, "SET", operand::needed},
    verb_form{verb::reset, "RESET", operand::needed},
};

std::string upper(std::string_view text) {
  std::string made(text);
  for (char& c : made) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return made;
}

// `words` in capitals, as the user would write them.
std::string hint_at(std::string_view written, std::span<const std::string_view> words) {
  const auto near = conf::nearest(upper(written), words);
  return near.empty() ? "SHOW HELP lists the commands." : "Did you mean " + std::string(near) + "?";
}

class parser {
 public:
  parser(const statement_tokens& tokens, const parameter_values* values) : tokens_(tokens), values_(values) {}

  std::expected<command, pgwire::error_report> run() {
    const verb_form* form = verb_at();
    if (form == nullptr) return std::unexpected(std::move(*error_));
    made_.what = form->what;
    made_.tag = form->word;
    const bool fine = form->what == verb::show       ? show()
                      : form->what == verb::shutdown ? shutdown()
                      : form->what == verb::kill     ? kill()
                      : form->what == verb::set      ? set()
                      : form->what == verb::reset    ? take_subject(*form) && for_tenant()
                                                     : take_subject(*form);
    if (fine && now().what != token::kind::end) fail("unexpected " + conf::in_quotes(now().text), {});
    if (error_) return std::unexpected(std::move(*error_));
    return std::move(made_);
  }
  [[nodiscard]] std::size_t parameters() const { return parameters_; }

 private:
  [[nodiscard]] const token& now() const { return tokens_[at_]; }
  bool accept(std::string_view keyword) {
    if (!now().is(keyword)) return false;
    ++at_;
    return true;
  }
  bool fail(std::string message, std::string hint, std::string_view code = sqlstate::syntax_error) {
    if (!error_) error_ = refusal(code, std::move(message), std::move(hint));
    return false;
  }

  const verb_form* verb_at() {
    const auto found = std::ranges::find_if(verbs, [&](const verb_form& one) { return now().is(one.word); });
    if (found != verbs.end()) {
      ++at_;
      return &*found;
    }
    std::array<std::string_view, verbs.size()> words;
    std::ranges::transform(verbs, words.begin(), &verb_form::word);
    fail("unknown command " + conf::in_quotes(now().text), hint_at(now().text, words));
    return nullptr;
  }

  // Anything that can name something. What a parameter stands for is known only when it is bound.
  bool take(std::string& into, std::string_view what) {
    const token& one = now();
    const auto kind = one.what;
    if (kind == token::kind::parameter) return take_parameter(into);
    if (kind != token::kind::word && kind != token::kind::literal && kind != token::kind::name) {
      const std::string found = kind == token::kind::end ? "the end" : conf::in_quotes(one.text);
      return fail("expected " + std::string(what) + ", found " + found, {});
    }
    into = one.text;
    ++at_;
    return true;
  }
  bool take_parameter(std::string& into) {
    std::size_t number = 0;
    const std::string& digits = now().text;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    constexpr std::size_t most = 100;
    if (error != std::errc() || number == 0 || number > most)
      return fail("there is no parameter $" + digits, {}, sqlstate::undefined_parameter);
    ++at_;
    parameters_ = std::max(parameters_, number);
    open_ = values_ == nullptr;
    if (open_) return true;
    if (number > values_->size()) return fail("there is no parameter $" + digits, {}, sqlstate::undefined_parameter);
    const auto& value = (*values_)[number - 1];
    if (!value) return fail("parameter $" + digits + " is null", {}, sqlstate::invalid_parameter_value);
    if (value->contains('\0'))
      return fail("parameter $" + digits + " has a zero byte", {}, sqlstate::character_not_in_repertoire);
    into = *value;
    return true;
  }

  bool take_number(std::uint64_t& into, std::string_view what) {
    open_ = false;
    std::string text;
    if (!take(text, what)) return false;
    if (open_) return true;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (error == std::errc() && end == text.data() + text.size()) return true;
    return fail(conf::in_quotes(text) + " is not a number", "Write " + std::string(what) + ".",
                sqlstate::invalid_parameter_value);
  }

  bool take_subject(const verb_form& form) {
    if (form.takes == operand::none) return true;
    if (now().what == token::kind::end) {
      if (form.takes == operand::optional) return true;
      return fail(std::string(form.word) + " needs " + std::string(subject_of(form.what)), {});
    }
    if (form.what == verb::kill_client) {
      std::uint64_t id = 0;
      if (!take_number(id, "the id that SHOW CLIENTS gives")) return false;
      made_.subject = std::to_string(id);
      return true;
    }
    if (!take_named(subject_of(form.what))) return false;
    if (form.what != verb::suspend || now().what == token::kind::end) return true;
    return take(made_.value, "the message that its clients get");
  }
  static std::string_view subject_of(verb what) {
    switch (what) {
      case verb::hold:
      case verb::release:
      case verb::suspend:
      case verb::activate: return "a tenant";
      case verb::kill_client: return "the id that SHOW CLIENTS gives";
      case verb::set:
      case verb::reset: return "a setting";
      default: return "a database";
    }
  }
  // The empty name would mean "all".
  bool take_named(std::string_view what) { return take_named(what, made_.subject); }
  bool take_named(std::string_view what, std::string& into) {
    open_ = false;
    if (!take(into, what)) return false;
    if (!into.empty() || open_) return true;
    return fail("an empty name", {}, sqlstate::invalid_parameter_value);
  }

  bool shutdown() {
    if (accept("WAIT_FOR_CLIENTS") || accept("WAIT_FOR_SERVERS")) made_.value = "wait";
    return true;
  }

  bool kill() {
    const bool of_tenant = now().is("TENANT") && tokens_[at_ + 1].what != token::kind::end;
    if (of_tenant) {
      ++at_;
      made_.what = verb::kill_tenant;
      made_.tag = "KILL TENANT";
      return take_named("a tenant");
    }
    return now().what == token::kind::end || take_named("a database");
  }

  bool set() {
    if (!take_named("a setting")) return false;
    if (!accept("TO")) {
      if (!now().is_sign('=')) return fail("expected = behind the setting", "SET setting = value");
      ++at_;
    }
    if (accept("DEFAULT")) {
      made_.what = verb::reset;
      return for_tenant();
    }
    return take(made_.value, "a value") && for_tenant();
  }

  bool for_tenant() {
    if (!accept("FOR")) return true;
    if (!accept("TENANT")) return fail("expected TENANT behind FOR", "SET setting = value FOR TENANT 'tenant'");
    return take_named("a tenant", made_.tenant);
  }

  bool show() {
    const auto found = std::ranges::find_if(things, [&](std::string_view one) { return now().is(one); });
    if (found == things.end()) {
      if (now().what == token::kind::end) return fail("SHOW needs a word behind it", "SHOW HELP lists them.");
      return fail("SHOW knows no " + conf::in_quotes(now().text), hint_at(now().text, things));
    }
    ++at_;
    made_.shown = static_cast<thing>(found - things.begin());
    if (made_.shown == thing::tenant && !take_named("a tenant")) return false;
    if (made_.shown == thing::route && !take_named("a URL or a tenant")) return false;
    return refine();
  }

  bool refine() {
    refinement& how = made_.how;
    if (accept("LIKE") && !take(how.like.emplace(), "a pattern")) return false;
    if (accept("ORDER")) {
      if (!accept("BY")) return fail("expected BY behind ORDER", {});
      if (!take(how.order_by, "a column")) return false;
      how.descending = accept("DESC");
      if (!how.descending) accept("ASC");
    }
    if (accept("LIMIT") && !take_number(how.limit.emplace(), "how many rows at most")) return false;
    return true;
  }

  const statement_tokens& tokens_;
  const parameter_values* values_;
  std::size_t at_ = 0;
  std::size_t parameters_ = 0;
  bool open_ = false;  // what was taken last is not known yet
  command made_;
  std::optional<pgwire::error_report> error_;
};

}  // namespace

std::expected<parsed, pgwire::error_report> parse(std::string_view text, std::string_view user,
                                                  const parameter_values* values) {
  const auto statements = take_apart(text);
  if (!statements) return std::unexpected(statements.error());
  parsed all;
  for (const statement_tokens& tokens : *statements) {
    const auto own_text = text.substr(tokens.front().begin, tokens.back().begin - tokens.front().begin);
    if (auto talk = small_talk(tokens, own_text, user)) {
      if (!*talk) return std::unexpected(std::move(talk->error()));
      for (const token& one : tokens) {
        std::size_t number = 0;
        if (one.what == token::kind::parameter)
          std::from_chars(one.text.data(), one.text.data() + one.text.size(), number);
        all.parameters = std::max(all.parameters, std::min<std::size_t>(number, 65'535));
      }
      all.commands.push_back(std::move(**talk));
      continue;
    }
    parser reader(tokens, values);
    auto made = reader.run();
    if (!made) return std::unexpected(std::move(made.error()));
    all.parameters = std::max(all.parameters, reader.parameters());
    all.commands.push_back(std::move(*made));
  }
  return all;
}

std::string_view name_of(thing what) { return things[static_cast<std::size_t>(what)]; }

std::string_view name_of(verb what) {
  if (what == verb::kill_tenant) return "KILL TENANT";
  const auto found = std::ranges::find(verbs, what, &verb_form::what);
  return found == verbs.end() ? "" : found->word;
}

}  // namespace proxy::console
