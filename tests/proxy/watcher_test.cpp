// The watcher against a real folder: every way in which a file is saved is noticed, and a mere look is not.
#include "proxy/watcher.hpp"

#include "tests/temporary_folder.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

namespace watcher_test {

namespace fs = std::filesystem;

namespace {

using folder = tests::temporary_folder;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

struct watching {
  proxy::asio::io_context context{1};
  int changes = 0;
  proxy::watcher watcher{context, [this] { ++changes; }};

  // Runs the loop until a change is reported, or the limit has passed.
  bool sees_change(std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    const int before = changes;
    const auto until = proxy::clock::now() + limit;
    while (changes == before && proxy::clock::now() < until) context.run_for(std::chrono::milliseconds(10));
    return changes > before;
  }
};

// Long past, as far as what the test wrote is concerned.
const auto now_read = [] { return std::chrono::system_clock::now() + std::chrono::seconds(5); };

}  // namespace

TEST_CASE("a save in place, by rename, and a removal are changes") {
  const folder home;
  const fs::path file = home.path() / "routes.yaml";
  write(file, "a");
  watching w;
  w.watcher.watch({file}, {}, now_read());

  write(file, "ab");
  CHECK(w.sees_change());
  write(home.path() / "routes.yaml.new", "abc");
  fs::rename(home.path() / "routes.yaml.new", file);
  CHECK(w.sees_change());
  fs::remove(file);
  CHECK(w.sees_change());
  write(file, "back");
  CHECK(w.sees_change());
}

TEST_CASE("a symbolic link swapped two levels up is a change") {
  const folder home;
  fs::create_directory(home.path() / "v1");
  fs::create_directory(home.path() / "v2");
  write(home.path() / "v1/routes.yaml", "a");
  write(home.path() / "v2/routes.yaml", "b");
  fs::create_directory_symlink("v1", home.path() / "..data");
  fs::create_symlink("..data/routes.yaml", home.path() / "routes.yaml");
  watching w;
  w.watcher.watch({home.path() / "routes.yaml"}, {}, now_read());

  fs::create_directory_symlink("v2", home.path() / "..data_tmp");
  fs::rename(home.path() / "..data_tmp", home.path() / "..data");
  CHECK(w.sees_change());
}

TEST_CASE("what comes to be in folders that were not there is a change") {
  const folder home;
  const fs::path later = home.path() / "later", deeper = later / "deeper";
  watching w;
  w.watcher.watch({deeper / "main.password"}, {later}, now_read());
  fs::create_directory(later);
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
  write(later / "routes.yaml", "a");
  CHECK(w.sees_change());
  fs::create_directory(deeper);
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
  write(deeper / "main.password", "a");
  CHECK(w.sees_change());
}

TEST_CASE("a new YAML file in an included folder is a change, another file is not") {
  const folder home;
  watching w;
  w.watcher.watch({}, {home.path()}, now_read());
  write(home.path() / "notes.txt", "a");
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
  write(home.path() / "acme.yaml", "a");
  CHECK(w.sees_change());
}

TEST_CASE("what changed between being read and being watched is reported once") {
  const folder home;
  const fs::path file = home.path() / "routes.yaml";
  const auto read_at = std::chrono::system_clock::now();
  write(file, "later");
  watching w;
  w.watcher.watch({file}, {}, read_at);
  CHECK(w.changes == 1);
  w.watcher.watch({file}, {}, read_at);
  CHECK(w.changes == 1);
}

TEST_CASE("the folders on the way to a file include those of its links") {
  const folder home;
  const fs::path real = fs::canonical(home.path());
  fs::create_directory(real / "store");
  write(real / "store/routes.yaml", "a");
  fs::create_symlink(real / "store/routes.yaml", real / "routes.yaml");
  CHECK(proxy::folders_on_the_way(real / "routes.yaml") == std::vector<fs::path>{real, real / "store"});
}

}  // namespace watcher_test
