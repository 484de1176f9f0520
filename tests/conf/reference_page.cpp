#include "tests/conf/reference_page.hpp"

namespace tests {
namespace {

using conf::setting;

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

std::string words(std::string_view type) {
  std::string list;
  for (const std::string_view word : conf::words_of(type)) list += (list.empty() ? "" : ", ") + code(word);
  return list;
}

std::string value(const setting& row) { return row.type.contains(" | ") ? words(row.type) : std::string(row.type); }

std::string remarks(const setting& row) {
  std::string said(row.doc);
  if (row.in_force == conf::force::no) said += " *Not yet in force.*";
  if (row.in_force == conf::force::refuses) said += " *Not yet in force: sessions are refused.*";
  if (!row.later.empty()) said += " *Not yet in force, sessions are refused:* " + words(row.later) + ".";
  if (row.when == conf::taken_up::restart) said += " *Changes need a restart.*";
  if (row.secret) said += " *Secret.*";
  return said;
}

std::string section(conf::file_kind file, std::string_view title) {
  std::string page = "\n## " + std::string(title) + "\n\n";
  page += "| key | value | without it | what it does |\n| --- | --- | --- | --- |\n";
  for (const setting& row : conf::all_settings()) {
    if (row.file != file || is_told_elsewhere(row)) continue;
    page +=
        "| " + code(row.path) + " | " + value(row) + " | " + std::string(row.fallback) + " | " + remarks(row) + " |\n";
  }
  return page;
}

}  // namespace

bool is_told_elsewhere(const setting& row) {
  return row.path.starts_with("defaults.") || row.path.starts_with("no_tenant.route.");
}

std::string generated_reference() {
  return std::string(reference_marker) + section(conf::file_kind::daemon, "pglodge.yaml") +
         section(conf::file_kind::routes, "routes.yaml") +
         "\n`defaults` and `no_tenant.route` take the same keys as `tenants.*`.\n";
}

}  // namespace tests
