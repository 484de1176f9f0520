#include "proxy/auth/users_file.hpp"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <map>
#include <utility>

#include "conf/names.hpp"
#include "proxy/auth/secret_file.hpp"

namespace proxy {

using pgwire::secret_string;

namespace {

constexpr char quote = '"';
constexpr std::string_view blanks = " \t";

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text;
}

// Takes a field in quotes off the front of `rest`. The error is a reason.
std::expected<secret_string, std::string> take_field(std::string_view& rest) {
  if (!rest.starts_with(quote)) return std::unexpected("a name and a secret must stand here, each in double quotes");
  secret_string whole(rest.size());
  std::size_t size = 0;
  for (std::size_t at = 1; at < rest.size(); ++at) {
    if (rest[at] == quote) {
      if (!rest.substr(at + 1).starts_with(quote)) {
        rest.remove_prefix(at + 1);
        return secret_string(whole.view().substr(0, size));
      }
      ++at;
    }
    whole.writable()[size++] = rest[at];
  }
  return std::unexpected("a double quote is not closed on its line");
}

std::optional<std::string> end_problem(std::string_view rest) {
  if (rest.empty() || blanks.contains(rest.front())) return std::nullopt;
  return "a blank must stand behind the closing quote; a quote within is written twice";
}

}  // namespace

class users_parser {
 public:
  users_parser(std::string_view text, const std::string& file) : file_(file) {
    table_->text_hash_ = std::hash<std::string_view>{}(text);
  }

  void take_line(std::string_view line) {
    ++line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = without_leading_blanks(line);
    if (line.empty() || line.starts_with(';')) return;
    if (line.contains('\0')) return error("holds a zero byte");
    if (line.starts_with('#')) return error("a comment begins with ';' here, not with '#'");
    if (auto problem = take_role(line)) error(*problem);
  }

  users_reading finish() {
    if (left_out_ > 0) reading_.errors.push_back(file_ + ": and " + std::to_string(left_out_) + " more errors");
    if (reading_.errors.empty()) {
      choose_likeness();
      reading_.users = std::move(table_);
    }
    return std::move(reading_);
  }

 private:
  std::optional<std::string> take_role(std::string_view line) {
    const auto name = take_field(line);
    if (!name) return name.error();
    if (auto problem = end_problem(line)) return problem;
    line = without_leading_blanks(line);
    if (line.empty()) return "no secret behind the name; write \"\" for none";
    const auto text = take_field(line);
    if (!text) return text.error();
    if (auto problem = end_problem(line)) return problem;
    if (conf::identifier_problem(name->view())) {
      return "the name can be no role's: it has 1 to " + std::to_string(conf::longest_identifier) +
             " bytes, none of them a control character";
    }
    std::string role(name->view());
    if (const auto [known, is_new] = lines_.emplace(role, line_); !is_new) {
      return "the name stands in line " + std::to_string(known->second) + " already";
    }
    if (text->view().empty()) {
      table_->entries_.emplace(std::move(role), nullptr);
      return std::nullopt;
    }
    auto secret = pgwire::parse_password_secret(text->view());
    if (!secret) return "the secret is too long, or a SCRAM secret that cannot be used";
    count(*secret);
    table_->entries_.emplace(std::move(role), std::make_shared<const stored_secret>(*std::move(secret)));
    return std::nullopt;
  }

  void count(const pgwire::password_secret& secret) {
    const auto* scram = std::get_if<pgwire::scram_secret>(&secret);
    ++kinds_[{static_cast<secret_kind>(secret.index()), scram != nullptr ? scram->iterations : 0}];
  }

  void choose_likeness() {
    const auto most = std::ranges::max_element(kinds_, {}, [](const auto& one) { return one.second; });
    if (most == kinds_.end()) return;
    const auto [kind, iterations] = most->first;
    table_->likeness_ = secret_likeness{.kind = kind};
    if (kind == secret_kind::scram) table_->likeness_->iterations = iterations;
  }

  void error(std::string_view what) {
    if (reading_.errors.size() == most_users_file_errors) {
      ++left_out_;
    } else {
      reading_.errors.push_back(file_ + ":" + std::to_string(line_) + ": " + std::string(what));
    }
  }

  const std::string& file_;
  std::size_t line_ = 0;
  std::size_t left_out_ = 0;
  users_reading reading_;
  std::shared_ptr<user_table> table_ = std::make_shared<user_table>();
  std::unordered_map<std::string, std::size_t> lines_;  ///< where each name stands
  std::map<std::pair<secret_kind, std::uint32_t>, std::size_t> kinds_;
};

const stored_secret_ptr* user_table::find(std::string_view role) const {
  const auto found = entries_.find(role);
  return found != entries_.end() ? &found->second : nullptr;
}

const pgwire::secret_string* user_table::password(std::string_view role) const {
  const auto* entry = find(role);
  if (entry == nullptr || !*entry) return nullptr;
  const auto* plain = std::get_if<pgwire::plain_secret>(&(*entry)->secret());
  return plain != nullptr ? &plain->password : nullptr;
}

std::vector<std::pair<std::string, stored_secret_ptr>> user_table::without_scram() const {
  std::vector<std::pair<std::string, stored_secret_ptr>> found;
  for (const auto& [name, secret] : entries_) {
    if (secret && secret->scram_at_hand() == nullptr) found.emplace_back(name, secret);
  }
  return found;
}

void user_table::take_built(const user_table& old) const {
  for (const auto& [name, secret] : entries_) {
    const auto* before = secret ? old.find(name) : nullptr;
    if (before != nullptr && *before) secret->take_built(**before);
  }
}

users_reading parse_users(std::string_view text, const std::string& name) {
  users_parser parser(text, name);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    parser.take_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.finish();
}

users_reading read_users_file(const std::filesystem::path& file) {
  const auto read = read_secret_file(file, most_users_file_bytes);
  if (!read) {
    users_reading failed;
    failed.errors.push_back(file.native() + ": " + read.error());
    return failed;
  }
  users_reading reading = parse_users(read->text.view(), file.native());
  if (read->warning) reading.warnings.push_back(*read->warning);
  return reading;
}

}  // namespace proxy
