#include "proxy/service/hand_over.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "proxy/error_text.hpp"

namespace proxy {
namespace {

// Names the descriptor of the channel, in the successor's environment.
constexpr const char* channel_variable = "PGLODGE_CHANNEL";
// Where it is put there.
constexpr int channel_descriptor = 3;

// What the kernel passes in one message (SCM_MAX_FD).
constexpr std::size_t most_descriptors = 253;

// How long a process waits to be named to the service manager by the one before it.
constexpr std::chrono::seconds most_naming{1};

constexpr std::array<char, 5> serves_word{'s', 'e', 'r', 'v', 'e'};

// One byte, because a message must have one, and room for as many descriptors as it may have.
struct envelope {
  explicit envelope(std::size_t descriptors) {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
  }
  envelope(const envelope&) = delete;
  envelope& operator=(const envelope&) = delete;

  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * most_descriptors)> control{};
  msghdr message{};
};

// The text as a file that has no name; so it may be of any length.
std::expected<owned_descriptor, std::string> file_of(std::string_view text) {
  owned_descriptor file(::memfd_create("pglodge-testament", MFD_CLOEXEC));
  while (file.is_open() && !text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno != EINTR) return std::unexpected(error_text(errno));
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!file.is_open()) return std::unexpected(error_text(errno));
  return file;
}

std::expected<std::string, std::string> text_in(const owned_descriptor& file) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return std::unexpected(error_text(errno));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  const ssize_t length = ::pread(file.get(), text.data(), text.size(), 0);
  if (length < 0 || static_cast<std::size_t>(length) != text.size()) return std::unexpected("its message was cut");
  return text;
}

// First the file, then the sockets.
std::expected<void, std::string> send_all(int channel, const std::vector<int>& sockets, std::string_view text) {
  if (sockets.size() >= most_descriptors) return std::unexpected("there are more listening sockets than 252");
  const auto file = file_of(text);
  if (!file) return std::unexpected(file.error());
  std::vector<int> all{file->get()};
  all.insert(all.end(), sockets.begin(), sockets.end());
  envelope sent(all.size());
  cmsghdr* head = CMSG_FIRSTHDR(&sent.message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int) * all.size());
  std::memcpy(CMSG_DATA(head), all.data(), sizeof(int) * all.size());
  if (::sendmsg(channel, &sent.message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return std::unexpected(error_text(errno));
  return {};
}

std::expected<std::vector<owned_descriptor>, std::string> receive_all(int channel) {
  std::vector<owned_descriptor> all;
  envelope came(most_descriptors);
  if (::recvmsg(channel, &came.message, MSG_CMSG_CLOEXEC) < 0) return std::unexpected(error_text(errno));
  for (cmsghdr* head = CMSG_FIRSTHDR(&came.message); head != nullptr; head = CMSG_NXTHDR(&came.message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int passed = -1;
      std::memcpy(&passed, CMSG_DATA(head) + i * sizeof(int), sizeof passed);
      all.emplace_back(passed);
    }
  }
  if ((came.message.msg_flags & MSG_CTRUNC) != 0) return std::unexpected("its message was cut");
  if (all.empty()) return std::unexpected("it has ended");
  return all;
}

// What is for this process only: the service manager's sockets and the watchdog's process id.
bool is_private(std::string_view assignment) {
  constexpr std::array<std::string_view, 5> names{
      "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", "PGLODGE_CHANNEL="};
  return std::ranges::any_of(names, [&](std::string_view name) { return assignment.starts_with(name); });
}

std::vector<std::string> environment_for_successor() {
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) {
    if (!is_private(*one)) all.emplace_back(*one);
  }
  all.push_back(std::string(channel_variable) + "=" + std::to_string(channel_descriptor));
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& one : texts) all.push_back(one.data());
  all.push_back(nullptr);
  return all;
}

// What the process in between says of the one that it starts.
struct birth {
  pid_t process_id = -1;
  int error = 0;  // of exec
};

// In the child of a process with threads: nothing but what is async-signal-safe (signal-safety(7)). The process in
// between ends at once, so that the successor belongs to whoever adopts it, which for a service is systemd: of a
// process that is not its child it would never hear that it has ended, nor wait for it when the service is stopped.
[[noreturn]] void give_birth(char* const* command, char* const* environment, int channel, int report) {
  const pid_t between = ::_Fork();
  if (between != 0) ::_exit(between < 0 ? 1 : 0);
  birth told{::getpid(), 0};
  if (::write(report, &told, sizeof told) != sizeof told || ::dup2(channel, channel_descriptor) < 0) ::_exit(1);
  if (channel == channel_descriptor) ::fcntl(channel, F_SETFD, 0);
  ::execve(command[0], command, environment);
  told.error = errno;
  if (::write(report, &told, sizeof told) != sizeof told) ::_exit(1);
  ::_exit(1);
}

std::expected<pid_t, std::string> spawn(std::vector<std::string> command, int channel) {
  std::vector<std::string> environment = environment_for_successor();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::unexpected(error_text(errno));
  const owned_descriptor hears(ends[0]);
  owned_descriptor tells(ends[1]);
  const auto arguments = pointers_to(command);
  const auto variables = pointers_to(environment);
  const pid_t between = ::_Fork();
  if (between == 0) give_birth(arguments.data(), variables.data(), channel, tells.get());
  if (between < 0) return std::unexpected("no process: " + error_text(errno));
  tells = owned_descriptor();
  ::waitpid(between, nullptr, 0);
  // The pipe ends when the program has started, or with what hindered it.
  birth told;
  birth last;
  while (::read(hears.get(), &told, sizeof told) == sizeof told) last = told;
  if (last.process_id < 0) return std::unexpected("no process came to be");
  if (last.error != 0) return std::unexpected(command.front() + ": " + error_text(last.error));
  return last.process_id;
}

}  // namespace

std::vector<std::string> command_to_start(int argc, const char* const* argv) {
  std::vector<std::string> command(argv, argv + argc);
  if (command.empty()) command.emplace_back("pglodge");
  std::error_code ignored;
  std::string& program = command.front();
  if (program.find('/') == std::string::npos) {
    program = std::filesystem::read_symlink("/proc/self/exe", ignored).native();
  } else {
    program = std::filesystem::absolute(program, ignored).native();
  }
  return command;
}

std::expected<successor, std::string> successor::start(asio::io_context& main, const std::vector<std::string>& command,
                                                       const std::vector<int>& sockets, const testament& what) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return std::unexpected("no channel to it: " + error_text(errno));
  }
  owned_descriptor ours(ends[0]);
  const owned_descriptor its(ends[1]);
  if (auto sent = send_all(ours.get(), sockets, what.to_json()); !sent) {
    return std::unexpected("nothing can be handed to it: " + sent.error());
  }
  const auto started = spawn(command, its.get());
  if (!started) return std::unexpected(started.error());
  return successor(main, std::move(ours), *started);
}

successor::successor(asio::io_context& main, owned_descriptor channel, pid_t process_id)
    : channel_(std::make_shared<asio::posix::basic_stream_descriptor<executor>>(main, channel.release())),
      bound_(std::make_unique<timer>(main)),
      process_id_(process_id) {}

successor::successor(successor&& other) noexcept
    : channel_(std::move(other.channel_)),
      bound_(std::move(other.bound_)),
      process_id_(std::exchange(other.process_id_, -1)),
      served_(other.served_) {}

successor::~successor() {
  if (process_id_ <= 0 || served_) return;
  ::kill(process_id_, SIGKILL);
}

task<std::expected<void, std::string>> successor::serves(clock::duration at_most) {
  bound_->expires_after(at_most);
  bound_->async_wait([channel = channel_](error_code cancelled) {
    if (!cancelled) channel->cancel();
  });
  std::array<char, 16> word{};
  auto [failed, length] = co_await channel_->async_read_some(asio::buffer(word), no_throw);
  bound_->cancel();
  if (given_up_) co_return std::unexpected(std::string("it is not wanted any more"));
  if (failed == asio::error::operation_aborted) co_return std::unexpected(std::string("it did not serve in time"));
  if (failed || length != serves_word.size() || !std::equal(serves_word.begin(), serves_word.end(), word.begin())) {
    process_id_ = -1;  // it is gone, and its number may be another's
    co_return std::unexpected(std::string("it ended before it served; its own lines say why"));
  }
  served_ = true;
  co_return std::expected<void, std::string>();
}

void successor::give_up() {
  given_up_ = true;
  channel_->cancel();
}

std::expected<std::optional<predecessor>, std::string> predecessor::meet() {
  const char* told = std::getenv(channel_variable);
  if (told == nullptr) return std::nullopt;
  int number = -1;
  const std::string_view text(told);
  std::from_chars(text.data(), text.data() + text.size(), number);
  ::unsetenv(channel_variable);
  const auto refuse = [](const std::string& why) {
    return std::unexpected("nothing was handed over by the process that started this one: " + why);
  };
  if (number < 0) return refuse(std::string(channel_variable) + " names no descriptor");
  predecessor met;
  met.channel_ = owned_descriptor(number);
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  auto all = receive_all(number);
  if (!all) return refuse(all.error());
  const auto written = text_in(all->front());
  if (!written) return refuse(written.error());
  auto will = testament::from_json(*written);
  if (!will) return refuse(will.error());
  met.will = std::move(*will);
  for (std::size_t i = 1; i < all->size(); ++i) {
    const bool own_file = i <= met.will.own_file.size() && met.will.own_file[i - 1];
    if (auto added = met.sockets.add(std::move((*all)[i]), own_file); !added) return refuse(added.error());
  }
  return std::optional<predecessor>(std::move(met));
}

task<void> predecessor::take_over(asio::io_context& main) {
  // Whether it is still there does not matter: then its doors are closed.
  ::send(channel_.get(), serves_word.data(), serves_word.size(), MSG_NOSIGNAL);
  const auto channel = std::make_shared<asio::posix::basic_stream_descriptor<executor>>(main, channel_.release());
  timer bound(main);
  bound.expires_after(most_naming);
  bound.async_wait([channel](error_code cancelled) {
    if (!cancelled) channel->cancel();
  });
  std::array<char, 1> nothing{};
  co_await channel->async_read_some(asio::buffer(nothing), no_throw);
  bound.cancel();
}

}  // namespace proxy
