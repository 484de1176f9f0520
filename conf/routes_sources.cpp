#include "conf/routes_sources.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "conf/text_file.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_files = 100'000;

bool is_yaml_name(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

// Files of a folder that a pattern fits, by name. Hidden ones only if the pattern begins with a dot. None in a folder
// that is not there; with another error some may be missing.
std::vector<fs::path> matching(const fs::path& folder, const std::string& pattern, std::error_code& error) {
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path name = it->path().filename();
    if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0) found.push_back(name);
  }
  if (error == std::errc::no_such_file_or_directory) error.clear();
  std::ranges::sort(found);
  return found;
}

std::string cannot_list(const fs::path& folder, const std::error_code& error) {
  return "cannot list the folder " + in_quotes(folder.native()) + ": " + error.message() + "; make it readable";
}

class gatherer {
 public:
  explicit gatherer(report& out) : out_(out) {}

  void begin(const yaml_value& named, const fs::path& path) {
    // As people call it: beside the file that names it, as that one was called.
    const fs::path shown = fs::path(named.source().name).parent_path() / fs::path(named.text().value_or(""));
    std::error_code error;
    if (!fs::is_directory(path, error)) return read(named, path, shown, place::top);
    made_.folders.push_back(path);
    std::vector<fs::path> names = matching(path, "*", error);
    if (error) {
      made_.is_complete = false;
      return named.error(cannot_list(path, error));
    }
    std::erase_if(names, [](const fs::path& name) { return !is_yaml_name(name); });
    if (names.empty()) {
      made_.is_complete = false;
      return named.error("the folder " + in_quotes(path.native()) +
                         " holds no *.yaml file; write one there, or name a file");
    }
    for (const fs::path& name : names) read(named, path / name, shown / name, place::folder);
  }

  routes_sources finish() && { return std::move(made_); }

 private:
  enum class place : std::uint8_t { top, folder, included };

  void read(const yaml_value& named, const fs::path& path, const fs::path& shown, place where) {
    std::error_code error;
    fs::path identity = fs::weakly_canonical(path, error);
    if (error) identity = path;
    if (!read_.insert(identity.native()).second) return;
    if (read_.size() > most_files) {
      made_.is_complete = false;
      return named.error("leads to more than " + std::to_string(most_files) + " files");
    }
    made_.paths.push_back(path);

    auto text = read_text_file(path, yaml_document::most_bytes);
    if (!text) {
      made_.is_complete = false;
      return named.error("cannot read " + in_quotes(path.native()) + ": " + text.error() +
                         "; write that file, or mend its name here");
    }
    out_.begin_file(shown.native());
    routes_source& source = made_.files.emplace_back(
        routes_source{{shown.native(), path.parent_path(), &out_}, yaml_document::parse(*text), where != place::top});
    for (const yaml_problem& one : source.document.problems())
      out_.error(source.source.name, one.at, one.path, one.what);
    if (!source.document.is_yaml()) made_.is_complete = false;
    if (source.root() != nullptr && source.root()->kind == yaml_kind::mapping) follow_includes(source, where);
  }

  void follow_includes(const routes_source& source, place where) {
    const yaml_value root(source.source, *source.root(), keys_of(file_kind::routes));
    const auto list = root.find("include");
    if (!list) return;
    if (where == place::included) {
      made_.is_complete = false;
      return list->error_at_key("an included file cannot include others; move this to the file that includes it");
    }
    if (!list->is_list()) {
      made_.is_complete = false;
      return;
    }
    list->for_each([&](const yaml_value& item) { follow(item); });
  }

  void follow(const yaml_value& item) {
    const std::size_t errors_before = out_.error_count();
    if (const auto text = item.text()) {
      const fs::path pattern(*text);
      const fs::path folder = item.source().folder / pattern.parent_path();
      const fs::path shown = fs::path(item.source().name).parent_path() / pattern.parent_path();
      const std::string name = pattern.filename().native();
      if (has_wildcard(pattern.parent_path().native())) {
        item.error("only the file's name may hold wildcards, not its folder");
      } else if (!is_yaml_name(pattern)) {
        item.error(in_quotes(*text) + " does not end in .yaml or .yml; for a folder write " +
                   in_quotes((pattern / "*.yaml").native()));
      } else if (!has_wildcard(name)) {
        read(item, folder / name, shown / name, place::included);
      } else {
        follow_pattern(item, folder, shown, name);
      }
    }
    if (out_.error_count() != errors_before) made_.is_complete = false;
  }

  void follow_pattern(const yaml_value& item, const fs::path& folder, const fs::path& shown, const std::string& name) {
    if (std::ranges::find(made_.folders, folder) == made_.folders.end()) made_.folders.push_back(folder);
    std::error_code error;
    const std::vector<fs::path> names = matching(folder, name, error);
    if (error) return item.error(cannot_list(folder, error));
    if (names.empty()) {
      return item.error("no file matches " + in_quotes((folder / name).native()) +
                        "; write one, or remove the pattern");
    }
    for (const fs::path& one : names) read(item, folder / one, shown / one, place::included);
  }

  report& out_;
  routes_sources made_;
  std::unordered_set<std::string> read_;  // each file once, by whatever name
};

}  // namespace

routes_sources gather_routes(const yaml_value& named, const fs::path& path) {
  gatherer work(*named.source().out);
  work.begin(named, path);
  return std::move(work).finish();
}

routes_sources routes_from_text(std::string_view text, const yaml_source& source) {
  routes_sources made;
  made.files.push_back({source, yaml_document::parse(text), false});
  for (const yaml_problem& one : made.files.front().document.problems()) {
    source.out->error(source.name, one.at, one.path, one.what);
  }
  made.is_complete = made.files.front().document.is_yaml();
  return made;
}

}  // namespace conf
