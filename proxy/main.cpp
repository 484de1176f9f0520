#include <exception>
#include <iostream>

#include "proxy/command_line.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon.hpp"
#include "proxy/service/hand_over.hpp"

int main(int argc, char** argv) {
  try {
    const auto line = proxy::parse_command_line(argc, argv);
    if (!line) return line.error();
    switch (line->what) {
      case proxy::command::serve: return proxy::serve(line->config, proxy::command_to_start(argc, argv));
      case proxy::command::check: return proxy::check(line->config);
      case proxy::command::route: return proxy::route(line->config, line->subject);
      case proxy::command::import_pgbouncer: return proxy::import_pgbouncer(line->ini, line->folder);
      case proxy::command::top: return proxy::show_top(line->config, line->top);
      case proxy::command::usage: return proxy::usage(line->config, line->usage);
    }
  } catch (const std::exception& error) {
    std::cerr << "pglodge: " << error.what() << '\n';
  }
  return proxy::exit_failed;
}
