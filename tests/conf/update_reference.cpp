// pglodge_reference prints what the generated half of conf/reference.md should be; with --update FILE it writes it
// into that page, whose introduction stays as it is.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "tests/conf/reference_page.hpp"

int main(int argc, char** argv) {
  if (argc == 1) {
    std::cout << tests::generated_reference();
    return 0;
  }
  if (argc != 3 || std::string(argv[1]) != "--update") {
    std::cerr << "usage: pglodge_reference [--update conf/reference.md]\n";
    return 2;
  }
  std::stringstream page;
  page << std::ifstream(argv[2]).rdbuf();
  const std::string text = page.str();
  const auto introduction = text.substr(0, text.find(tests::reference_marker));
  std::ofstream out(argv[2]);
  out << introduction << tests::generated_reference();
  return out ? 0 : 1;
}
