#include "conf/pgbouncer_config.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "conf/words.hpp"

namespace conf {
namespace {

// Looking for the word that was meant is dear, and of no use to whoever has more slips than these.
constexpr std::size_t most_suggestions = 100;

std::string path_of(const ini_entry& entry, std::string_view key) {
  std::string path = entry.section;
  append_path_part(path, entry.key);
  if (!key.empty()) append_path_part(path, key);
  return path;
}

class config_reader {
 public:
  explicit config_reader(import_notes& notes) : notes_(notes) {}

  void read(const ini_entry& entry) {
    const auto section = pgbouncer_section_of(entry.section);
    if (!section) {
      if (unknown_sections_.empty() || unknown_sections_.back() != entry.section) {
        unknown_sections_.push_back(entry.section);
        notes_.error(&entry, "[" + entry.section + "]",
                     "no section of PgBouncer's; those are [pgbouncer], [databases], [users] and [peers]");
      }
      return;
    }
    switch (*section) {
      case pgbouncer_section::pgbouncer: return read_setting(entry);
      case pgbouncer_section::databases: return read_database(entry);
      case pgbouncer_section::users: return read_named<pgbouncer_user>(entry, *section, config_.users, user_index_);
      case pgbouncer_section::peers: return read_unmatched(entry, *section);
    }
  }
  pgbouncer_config take() && { return std::move(config_); }

 private:
  using index = std::unordered_map<std::string, std::size_t>;

  void read_setting(const ini_entry& entry) {
    const auto* row = find_pgbouncer_setting(pgbouncer_section::pgbouncer, entry.key);
    if (row == nullptr) {
      return notes_.remark(&entry, in_quotes(entry.key), unknown(pgbouncer_section::pgbouncer, entry.key));
    }
    if (const auto problem = value_problem(*row, entry.value)) return notes_.error(&entry, row->name, *problem);
    if (const ini_entry* before = config_.global.where(row->name)) {
      notes_.remark(
          before, row->name,
          "set again at " + entry.file + ":" + std::to_string(entry.line) + ", which holds, as with PgBouncer");
    } else if (const std::string words = fate_in_words(*row); !words.empty()) {
      notes_.remark(&entry, row->name, words);
    }
    config_.global.set(*row, entry, entry.value);
  }

  // Its pairs, each known and with a value that can be read; the others are noted.
  template <class Take>
  void read_connection_string(const ini_entry& entry, pgbouncer_section section, Take take) {
    const auto pairs = parse_connection_string(entry.value);
    if (!pairs) return notes_.error(&entry, path_of(entry, {}), pairs.error());
    bool after_password = false;
    for (const connection_parameter& one : *pairs) {
      const auto* row = find_pgbouncer_setting(section, one.key);
      if (row == nullptr) {
        // Behind a password that should have been quoted, its rest looks like a name.
        if (after_password) {
          notes_.error(&entry, path_of(entry, {}),
                       "no parameter of PgBouncer 1.25 behind password; is that in quotes?");
        } else {
          notes_.remark(&entry, path_of(entry, one.key), unknown(section, one.key));
        }
        continue;
      }
      after_password = after_password || one.key == "password";
      if (const auto problem = value_problem(*row, one.value)) {
        notes_.error(&entry, path_of(entry, one.key), *problem);
      } else {
        take(*row, one.value);
      }
    }
  }

  void read_database(const ini_entry& entry) {
    if (entry.key == "pgbouncer") {
      return notes_.error(&entry, path_of(entry, {}),
                          "the name is PgBouncer's own console's, and it refuses the entry");
    }
    read_named<pgbouncer_database>(entry, pgbouncer_section::databases, config_.databases, database_index_);
  }

  // Of several entries of one name the last holds.
  template <class Named>
  void read_named(const ini_entry& entry, pgbouncer_section section, std::vector<Named>& all, index& by_name) {
    Named made{entry.key, &entry};
    read_connection_string(entry, section, [&](const pgbouncer_setting& row, const std::string& value) {
      if (const std::string words = fate_in_words(row); !words.empty()) {
        notes_.remark(&entry, path_of(entry, row.name), words);
      }
      made.values.set(row, entry, value);
    });
    const auto [known, is_new] = by_name.try_emplace(made.name, all.size());
    if (is_new) {
      all.push_back(std::move(made));
      return;
    }
    notes_.remark(
        all[known->second].entry, path_of(entry, {}),
        "defined again at " + entry.file + ":" + std::to_string(entry.line) + ", which holds, as with PgBouncer");
    all[known->second] = std::move(made);
  }

  // Sections of which nothing is carried over: said once an entry.
  void read_unmatched(const ini_entry& entry, pgbouncer_section section) {
    std::string words;
    read_connection_string(entry, section, [&](const pgbouncer_setting& row, const std::string&) {
      if (words.empty()) words = fate_in_words(row);
    });
    if (!words.empty()) notes_.remark(&entry, path_of(entry, {}), words);
  }

  std::string unknown(pgbouncer_section section, std::string_view name) {
    std::string what = "not carried over: PgBouncer 1.25 has no such setting";
    if (++unknown_ > most_suggestions) return what;
    std::vector<std::string_view> known;
    for (const pgbouncer_setting& row : all_pgbouncer_settings()) {
      if (row.section == section) known.push_back(row.name);
    }
    return what + did_you_mean(name, known);
  }

  import_notes& notes_;
  pgbouncer_config config_;
  std::size_t unknown_ = 0;
  index database_index_, user_index_;
  std::vector<std::string> unknown_sections_;
};

}  // namespace

void import_notes::remark(const ini_entry* at, std::string_view path, std::string_view what) {
  const std::string text = std::string(path) + ": " + std::string(what);
  remarks_.emplace(at, at != nullptr ? at_entry(*at, text) : "PgBouncer's default of " + text);
}

void import_notes::error(const ini_entry* at, std::string_view path, std::string_view what) {
  const std::string text = std::string(path) + ": " + std::string(what);
  errors_.emplace(at, at != nullptr ? at_entry(*at, text) : text);
}

std::vector<std::string> import_notes::told(const notes& all) {
  std::vector<std::string> lines;
  std::set<std::string_view> known;
  for (const auto& one : all) {
    if (known.insert(one.second).second) lines.push_back(one.second);
  }
  return lines;
}

void pgbouncer_values::set(const pgbouncer_setting& row, const ini_entry& entry, std::string_view value) {
  if (row.kind == pgbouncer_kind::words) value = known_word(row, value).value_or(value);
  given_.insert_or_assign(row.name, given{&entry, std::string(value)});
}

const ini_entry* pgbouncer_values::where(std::string_view name) const {
  const auto found = given_.find(name);
  return found == given_.end() ? nullptr : found->second.entry;
}

std::string_view pgbouncer_values::text(std::string_view name) const {
  const auto found = given_.find(name);
  return found == given_.end() ? find_pgbouncer_setting(section_, name)->fallback
                               : std::string_view(found->second.value);
}

std::optional<std::uint32_t> pgbouncer_values::count(std::string_view name) const {
  const auto number = pgbouncer_integer(text(name));
  if (!number || *number <= 0) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<std::chrono::milliseconds> pgbouncer_values::seconds(std::string_view name) const {
  const auto time = pgbouncer_seconds(text(name));
  return time && time->count() >= 0 ? time : std::nullopt;
}

std::string pgbouncer_database::path(std::string_view key) const { return path_of(*entry, key); }

std::string pgbouncer_user::path(std::string_view key) const { return path_of(*entry, key); }

const pgbouncer_database* pgbouncer_config::find(std::string_view name) const {
  const auto found = std::ranges::find(databases, name, &pgbouncer_database::name);
  return found == databases.end() ? nullptr : &*found;
}

pgbouncer_config read_pgbouncer_config(const std::vector<ini_entry>& entries, import_notes& notes) {
  config_reader reader(notes);
  std::ranges::for_each(entries, [&](const ini_entry& entry) { reader.read(entry); });
  return std::move(reader).take();
}

}  // namespace conf
