// Every key of the two files, one row each: the one place that knows which keys there are.
//
// From here come the checks for unknown keys and the words suggested instead, the warning about keys that are not yet
// in force, and the reference page; a test holds the JSON Schemas against it, key by key in both directions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conf {

enum class file_kind : std::uint8_t { daemon, routes };

enum class taken_up : std::uint8_t {
  reload,   ///< when the file is saved
  restart,  ///< when the daemon starts
};

enum class force : std::uint8_t {
  yes,      ///< it does what its doc line says
  no,       ///< read and checked, without effect yet
  refuses,  ///< not yet there, and ignoring it would be unsafe: sessions are refused
};

struct setting {
  file_kind file = file_kind::daemon;
  std::string path;             ///< "servers.*.hosts": '*' stands for any name, or any item of a list
  std::string_view type;        ///< in words; words separated by " | " are all that may be written
  std::string_view fallback;    ///< what holds without it, in words
  std::string_view doc;         ///< one line
  force in_force = force::yes;  ///< of the key as such
  std::string_view later = "";  ///< those of the type's words, likewise separated, that refuse sessions as yet
  taken_up when = taken_up::reload;
  bool secret = false;  ///< its value must not be shown; none is today, since passwords live in files of their own
};

/// In the order of the reference page.
const std::vector<setting>& all_settings();

/// The same as a tree, for readers that go down a file.
struct key_node {
  const setting* row = nullptr;  ///< null: the root, and what '*' stands for
  bool covered = false;          ///< a key above is not in force, and speaks for this one
  std::vector<std::pair<std::string_view, std::unique_ptr<key_node>>> keys;
  std::unique_ptr<key_node> each;  ///< any name, any item

  [[nodiscard]] const key_node* find(std::string_view key) const;
};
const key_node& keys_of(file_kind file);

/// "off | allow" as its words; a text without " | " is one.
std::vector<std::string_view> words_of(std::string_view type);

}  // namespace conf
