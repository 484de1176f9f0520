// The writing half: what stands in the files after everything that can go wrong with a disk and a clock.
#include "proxy/desk/usage_ledger.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>

#include "proxy/desk/usage_reader.hpp"
#include "proxy/owned_descriptor.hpp"
#include "tests/proxy/usage_tools.hpp"

namespace usage_ledger_test {

using namespace proxy::desk;
using tests::at;
using tests::counts;
namespace fs = std::filesystem;

namespace {

constexpr auto* day_file = "usage-2026-11-24.jsonl";
constexpr auto* run = "00000000000000aa";
const utc_time start = at("2026-11-24T12:00:00Z");

struct house {
  tests::usage_folder folder;
  std::vector<std::string> told;
  usage_ledger ledger = make();

  usage_ledger make(unsigned keep_days = 0, const std::string& name = run) {
    const conf::usage_settings settings{.ledger = folder.path(), .interval = {}, .keep_days = keep_days};
    return {settings, name, start, [this](const std::string& what) { told.push_back(what); }};
  }
  // The error, or "".
  std::string write(const usage_totals& totals, utc_time now) {
    const auto done = ledger.write(totals, now);
    return done ? "" : done.error();
  }
  [[nodiscard]] std::vector<usage_line> lines() const { return folder.lines(day_file); }
  [[nodiscard]] std::uint64_t transactions(const std::string& tenant) const {
    const auto sums = sum_usage(folder.path(), {at("2026-01-01"), at("2027-01-01"), {}}, [](const auto&) {});
    return sums.value().contains(tenant) ? sums->at(tenant).transactions : 0;
  }
};

// While it lives, no file grows beyond so many bytes: a disk that is full in the middle of a line.
class full_disk {
 public:
  explicit full_disk(std::size_t bytes) : former_(::signal(SIGXFSZ, SIG_IGN)) { set(bytes); }
  ~full_disk() {
    set(RLIM_INFINITY);
    ::signal(SIGXFSZ, former_);
  }

 private:
  static void set(rlim_t bytes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = std::min(bytes, limit.rlim_max);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  void (*former_)(int);
};

}  // namespace

TEST_CASE("each interval has a line of each tenant that used anything", "[usage]") {
  house h;
  CHECK(h.write({{"acme", counts(3, 2)}, {"globex", counts(0, 0)}}, start + std::chrono::minutes(1)).empty());
  CHECK(h.write({{"acme", counts(3, 1)}, {"globex", counts(0)}}, start + std::chrono::minutes(2)).empty());
  CHECK(h.write({{"acme", counts(5, 1)}, {"globex", counts(1, 4)}}, start + std::chrono::minutes(3)).empty());
  const auto lines = h.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == usage_line{run, 1, start, start + std::chrono::minutes(1), "acme", counts(3, 2)});
  // The second interval had nothing to tell, so it has neither lines nor a number.
  CHECK(lines[1] ==
        usage_line{run, 2, start + std::chrono::minutes(2), start + std::chrono::minutes(3), "acme", counts(2, 1)});
  CHECK(lines[2].tenant == "globex");
  CHECK(lines[2].counts == counts(1, 4));
  struct stat info{};
  REQUIRE(::stat((h.folder.path() / day_file).c_str(), &info) == 0);
  CHECK((info.st_mode & 0777 & ~0640U) == 0);
  CHECK(h.told.empty());
}

TEST_CASE("a total that goes down is never billed again", "[usage]") {
  house h;
  CHECK(h.write({{"acme", counts(5)}}, start).empty());
  CHECK(h.write({{"acme", counts(2)}}, start).empty());
  CHECK(h.write({{"acme", counts(5)}}, start).empty());
  CHECK(h.write({{"acme", counts(6)}}, start).empty());
  REQUIRE(h.lines().size() == 2);
  CHECK(h.lines()[1].counts == counts(1));
}

TEST_CASE("a full disk: the batch is cut off, and its counts come with the next", "[usage]") {
  house h;
  CHECK(h.write({{"acme", counts(1)}}, start + std::chrono::minutes(1)).empty());
  const std::string before = h.folder.text(day_file);
  {
    const full_disk full(before.size() + 300);  // a line and a half
    const auto error = h.write({{"acme", counts(3, 7)}, {"globex", counts(1)}}, start + std::chrono::minutes(2));
    CHECK(error == "cannot write to " + (h.folder.path() / day_file).native() + ": File too large");
    CHECK(h.folder.text(day_file) == before);
  }
  CHECK(h.write({{"acme", counts(4, 2)}, {"globex", counts(1)}}, start + std::chrono::minutes(3)).empty());
  const auto lines = h.lines();
  REQUIRE(lines.size() == 3);
  // The interval that failed goes on: its number, its beginning, its peak.
  CHECK(lines[1] ==
        usage_line{run, 2, start + std::chrono::minutes(1), start + std::chrono::minutes(3), "acme", counts(3, 7)});
  CHECK(h.transactions("acme") == 4);
  CHECK(h.transactions("globex") == 1);
}

TEST_CASE("what cannot be cut off holds everything up, and is not doubled", "[usage]") {
  // Of these devices the first takes no byte, the second cannot be synced, and neither can be cut.
  for (const auto* device : {"/dev/full", "/dev/null"}) {
    house h;
    fs::create_symlink(device, h.folder.path() / day_file);
    CHECK(h.write({{"acme", counts(1)}}, start).contains(h.folder.path().native()));
    // Not even the next day's file is written meanwhile.
    CHECK(h.write({{"acme", counts(2)}}, start + std::chrono::days(1)).starts_with("cannot cut a failed write off "));
    CHECK_FALSE(fs::exists(h.folder.path() / "usage-2026-11-25.jsonl"));
    fs::remove(h.folder.path() / day_file);
    CHECK(h.write({{"acme", counts(2)}}, start + std::chrono::seconds(1)).empty());
    REQUIRE(h.lines().size() == 1);
    CHECK(h.lines()[0].interval == 1);
    CHECK(h.transactions("acme") == 2);
  }
}

TEST_CASE("a folder that is none, and comes to be", "[usage]") {
  house h;
  const fs::path folder = h.folder.path();
  const std::string hint = "; usage.ledger must name a folder into which pglodge may write";
  fs::remove(folder);
  CHECK(h.write({{"acme", counts(1)}}, start) ==
        "cannot open " + (folder / "usage.lock").native() + ": No such file or directory" + hint);
  std::ofstream(folder) << "a file";
  CHECK(h.write({{"acme", counts(2)}}, start) ==
        "cannot open " + (folder / "usage.lock").native() + ": Not a directory" + hint);
  fs::remove(folder);
  fs::create_directory(folder);
  CHECK(h.write({{"acme", counts(3)}}, start).empty());
  CHECK(h.transactions("acme") == 3);
}

TEST_CASE("files that are taken away while the daemon runs", "[usage]") {
  house h;
  CHECK(h.write({{"acme", counts(1)}}, start).empty());
  fs::rename(h.folder.path() / day_file, h.folder.path() / "moved");
  CHECK(h.write({{"acme", counts(3)}}, start).empty());
  CHECK(h.folder.lines("moved").size() == 1);
  REQUIRE(h.lines().size() == 1);
  CHECK(h.lines()[0].counts == counts(2));
}

TEST_CASE("a torn last line is cut off, and told", "[usage]") {
  house h;
  CHECK(h.write({{"acme", counts(1)}, {"globex", counts(1)}}, start).empty());
  const std::string whole = h.folder.text(day_file);
  const std::string one = whole.substr(0, whole.find('\n') + 1);
  const auto torn =
      GENERATE_COPY(one + "{\"key\":\"00", one + std::string(5000, '\0'), one + one.substr(0, one.size() - 1));
  h.folder.write(day_file, torn);
  h.ledger = h.make(0, "00000000000000bb");
  REQUIRE(h.ledger.open(start));
  CHECK(h.folder.text(day_file) == one);
  REQUIRE(h.told.size() == 1);
  CHECK(h.told[0] == (h.folder.path() / day_file).native() + " ended within a line, as after a crash; its last " +
                         std::to_string(torn.size() - one.size()) + " bytes were cut off");
  CHECK(h.write({{"acme", counts(1)}}, start).empty());
  CHECK(h.lines().size() == 2);
  CHECK(h.transactions("acme") == 2);
}

TEST_CASE("a file without any whole line", "[usage]") {
  house h;
  h.folder.write(day_file, std::string(9000, 'x'));
  REQUIRE(h.ledger.open(start));
  CHECK(h.folder.text(day_file).empty());
}

TEST_CASE("a clock that is set back labels, and measures nothing", "[usage]") {
  house h;
  const auto noon = start + std::chrono::minutes(1);
  CHECK(h.write({{"acme", counts(1)}}, noon).empty());
  CHECK(h.write({{"acme", counts(2)}}, at("2026-11-23T23:00:00Z")).empty());
  CHECK(h.write({{"acme", counts(3)}}, at("2026-11-23T23:01:00Z")).empty());
  CHECK(h.write({{"acme", counts(4)}}, noon + std::chrono::minutes(1)).empty());
  const auto lines = h.lines();
  REQUIRE(lines.size() == 4);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    CHECK(lines[i].from == lines[i - 1].to);
    CHECK(lines[i].from <= lines[i].to);
  }
  CHECK(lines[2].to == noon);
  CHECK(h.transactions("acme") == 4);
  CHECK_FALSE(fs::exists(h.folder.path() / "usage-2026-11-23.jsonl"));
  REQUIRE(h.told.size() == 1);  // once, not at each interval
  CHECK(h.told[0].starts_with("the clock stands at 2026-11-23T23:00:00.000Z, before the last interval's end"));
}

TEST_CASE("a file a day, and the newest of them stay", "[usage]") {
  house h;
  h.ledger = h.make(2);
  for (int day = 0; day < 3; ++day)
    CHECK(h.write({{"acme", counts(static_cast<unsigned>(day) + 1)}}, start + std::chrono::days(day)).empty());
  CHECK_FALSE(fs::exists(h.folder.path() / day_file));
  CHECK(h.folder.lines("usage-2026-11-25.jsonl").size() == 1);
  CHECK(h.folder.lines("usage-2026-11-26.jsonl").size() == 1);
  CHECK(h.told.empty());
}

TEST_CASE("a clock that is years ahead deletes one day, not the ledger; other files are nobody's business", "[usage]") {
  house h;
  h.ledger = h.make(3);
  for (const auto* name : {"usage-2026-11-21.jsonl", "usage-2026-11-22.jsonl", "usage-2026-11-23.jsonl",
                           "usage-2026-11-21.jsonl.gz", "usage-2026-11-31.jsonl", "notes"}) {
    h.folder.write(name, "");
  }
  CHECK(h.write({{"acme", counts(1)}}, at("2036-01-01")).empty());
  CHECK_FALSE(fs::exists(h.folder.path() / "usage-2026-11-21.jsonl"));
  for (const auto* name : {"usage-2026-11-22.jsonl", "usage-2026-11-23.jsonl", "usage-2036-01-01.jsonl",
                           "usage-2026-11-21.jsonl.gz", "usage-2026-11-31.jsonl", "notes"}) {
    CHECK(fs::exists(h.folder.path() / name));
  }
}

TEST_CASE("two processes take turns in one folder, as around an upgrade", "[usage]") {
  house h;
  auto second = h.make(0, "00000000000000bb");
  for (std::uint64_t i = 1; i <= 3; ++i) {
    CHECK(h.write({{"acme", counts(i)}}, start + std::chrono::minutes(2 * i)).empty());
    CHECK(second.write({{"acme", counts(10 * i)}}, start + std::chrono::minutes(2 * i + 1)));
  }
  CHECK(h.transactions("acme") == 33);

  // One of them was killed in the middle of a line.
  std::ofstream(h.folder.path() / day_file, std::ios::app) << "{\"key\":\"torn";
  CHECK(second.write({{"acme", counts(31)}}, start + std::chrono::minutes(9)));
  CHECK(h.transactions("acme") == 34);
}

TEST_CASE("while another process writes, the interval goes on", "[usage]") {
  house h;
  REQUIRE(h.ledger.open(start));
  const proxy::owned_descriptor other(::open((h.folder.path() / "usage.lock").c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::flock(other.get(), LOCK_EX | LOCK_NB) == 0);
  CHECK(h.write({{"acme", counts(1)}}, start) == "another pglodge has been writing into " + h.folder.path().native());
  REQUIRE(::flock(other.get(), LOCK_UN) == 0);
  CHECK(h.write({{"acme", counts(2)}}, start).empty());
  CHECK(h.transactions("acme") == 2);
}

TEST_CASE("killed at any moment: what was written counts once, and at most one interval is in doubt", "[usage]") {
  using shared_count = std::atomic<std::uint64_t>;
  void* memory = ::mmap(nullptr, sizeof(shared_count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  auto* written = new (memory) shared_count(0);
  house h;
  constexpr std::uint64_t runs = 10;
  std::uint64_t sum = 0;
  for (std::uint64_t round = 0; round < runs; ++round) {
    written->store(0);
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto ledger = h.make(0, new_run());
      for (std::uint64_t total = 1; ledger.write({{"acme", counts(total)}, {"globex", counts(total)}}, start); ++total)
        written->store(total);
      ::_exit(1);
    }
    int status = 0;
    while (written->load() < 5 + round) {
      REQUIRE(::waitpid(child, &status, WNOHANG) == 0);
      ::usleep(100);
    }
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    sum += written->load();
  }
  for (const auto* tenant : {"acme", "globex"}) {
    CHECK(h.transactions(tenant) >= sum);
    CHECK(h.transactions(tenant) <= sum + runs);
  }
  ::munmap(memory, sizeof(shared_count));
}

}  // namespace usage_ledger_test
