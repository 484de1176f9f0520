#include "proxy/top/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string_view>
#include <utility>

namespace proxy::top {
namespace {

constexpr char interrupt = 3;  // ^C

volatile std::sig_atomic_t told_to_end = 0;

void write_out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n <= 0) return;  // whoever looked is gone; the next key says so
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// Another screen than the one the shell writes on, without a cursor.
constexpr std::string_view enter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view leave = "\x1b[?25h\x1b[?1049l";

void hear_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { told_to_end = 1; };
  for (const int number : {SIGTERM, SIGHUP, SIGINT}) ::sigaction(number, &action, nullptr);
  // So that it ends a wait.
  action.sa_handler = [](int) {};
  ::sigaction(SIGWINCH, &action, nullptr);
}

}  // namespace

std::expected<terminal, std::string> terminal::open() {
  termios before{};
  const bool is_one = ::isatty(STDOUT_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (!is_one) return std::unexpected("standard input and output are no terminal; --once prints one table");
  const screen now = size();
  if (now.width < smallest.width || now.lines < smallest.lines) {
    return std::unexpected("the terminal is too small: " + std::to_string(smallest.width) + " columns and " +
                           std::to_string(smallest.lines) + " lines are needed");
  }
  termios raw = before;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return std::unexpected("the terminal cannot be read key by key");
  hear_signals();
  write_out(enter);
  return terminal(before);
}

terminal::~terminal() {
  if (!before_) return;
  write_out(leave);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

screen terminal::size() {
  winsize found{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0) return {0, 0};
  return {found.ws_col, found.ws_row};
}

void terminal::draw(const std::vector<std::string>& lines) {
  std::string all = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) all += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";
  write_out(all + "\x1b[J");
}

std::optional<char> terminal::key_within(std::chrono::milliseconds time) {
  if (told_to_end != 0) return interrupt;
  pollfd asked{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&asked, 1, static_cast<int>(std::max<std::int64_t>(time.count(), 0)));
  if (told_to_end != 0) return interrupt;
  if (ready <= 0) return std::nullopt;
  char key = 0;
  return ::read(STDIN_FILENO, &key, 1) == 1 ? key : interrupt;  // the terminal has gone
}

}  // namespace proxy::top
