// The watcher against a real folder: every way in which a file is saved is noticed, and a mere look is not.
#include "proxy/watcher.hpp"

#include "tests/temporary_folder.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
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
  proxy::asio::executor_work_guard<proxy::executor> work{context.get_executor()};
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
  w.watcher.watch({file}, {}, now_read(), true);

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
  w.watcher.watch({home.path() / "routes.yaml"}, {}, now_read(), true);

  fs::create_directory_symlink("v2", home.path() / "..data_tmp");
  fs::rename(home.path() / "..data_tmp", home.path() / "..data");
  CHECK(w.sees_change());
}

TEST_CASE("what comes to be in folders that were not there is a change") {
  const folder home;
  const fs::path later = home.path() / "later", deeper = later / "deeper";
  watching w;
  w.watcher.watch({deeper / "main.password"}, {later}, now_read(), false);
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
  w.watcher.watch({}, {home.path()}, now_read(), true);
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
  w.watcher.watch({file}, {}, read_at, true);
  CHECK(w.sees_change());
  w.watcher.watch({file}, {}, read_at, true);
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
}

TEST_CASE("a file that was read and is gone before it is watched is reported, one that was never there is not") {
  const folder home;
  watching w;
  const bool read = GENERATE(true, false);
  w.watcher.watch({home.path() / "routes.yaml"}, {}, now_read(), read);
  CHECK(w.sees_change(std::chrono::milliseconds(400)) == read);
}

TEST_CASE("what comes and goes while files are read is reported once, when they were") {
  const folder home;
  const fs::path here = home.path();
  fs::create_directory(here / "routes.d");
  write(here / "routes.d/one.yaml", "a");
  write(here / "new", "b");
  fs::create_directory(here / "v1");
  fs::create_directory(here / "v2");
  write(here / "v1/main.password", "a");
  write(here / "v2/main.password", "b");
  fs::create_directory_symlink("v1", here / "now");
  fs::create_directory_symlink("v2", here / "next");
  watching w;
  const std::vector<fs::path> files{here / "routes.d/one.yaml", here / "now/main.password"};
  w.watcher.watch(files, {here / "routes.d"}, now_read(), true);
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));

  w.watcher.begin_reading();
  SECTION("a file that comes") { fs::rename(here / "new", here / "routes.d/two.yaml"); }
  SECTION("one that goes") { fs::remove(here / "routes.d/one.yaml"); }
  SECTION("a link to what is older") { fs::rename(here / "next", here / "now"); }
  w.watcher.watch(files, {here / "routes.d"}, now_read(), false);
  CHECK(w.sees_change());
  w.watcher.begin_reading();
  w.watcher.watch(files, {here / "routes.d"}, now_read(), false);
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
}

TEST_CASE("a file that is being written is not taken for whole because of what happens beside it") {
  const folder home;
  const fs::path file = home.path() / "routes.yaml";
  const bool is_new = GENERATE(false, true);
  if (!is_new) write(file, "whole");
  watching w;
  w.watcher.watch({file}, {home.path()}, now_read(), !is_new);
  std::ofstream writer(file);
  writer << "ha" << std::flush;
  write(home.path() / "notes.txt", "a");
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(600)));
  writer << "lf" << std::flush;
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(600)));
  SECTION("it is, when it is closed") {
    writer.close();
    CHECK(w.sees_change(proxy::watcher::writers_pause / 2));
  }
  SECTION("or after its writer did nothing for a while") { CHECK(w.sees_change()); }
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
}

TEST_CASE("without an inotify instance nothing is noticed until there is one") {
  const folder home;
  const fs::path file = home.path() / "routes.yaml";
  write(file, "a");
  watching w;
  rlimit former{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &former) == 0);
  const rlimit none{0, former.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  w.watcher.watch({file}, {}, now_read(), true);
  w.watcher.try_again();
  ::setrlimit(RLIMIT_NOFILE, &former);
  write(file, "ab");
  CHECK_FALSE(w.sees_change(std::chrono::milliseconds(400)));
  w.watcher.try_again();
  CHECK(w.sees_change());
  write(file, "abc");
  CHECK(w.sees_change());
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
