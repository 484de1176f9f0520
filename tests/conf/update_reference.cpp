// pglodge_reference prints what the generated half of conf/reference.md should be; with --update FILES it writes what
// is generated into that page or the manual pages, whose other parts stay as they are.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "tests/conf/manual_page.hpp"
#include "tests/conf/reference_page.hpp"

namespace {

std::string updated(const std::filesystem::path& file, const std::string& text) {
  if (file.extension() == ".5") {
    const bool daemon = file.filename() == "pglodge.yaml.5";
    return tests::updated_manual(text, daemon ? conf::file_kind::daemon : conf::file_kind::routes);
  }
  return text.substr(0, text.find(tests::reference_marker)) + tests::generated_reference();
}

bool update(const std::filesystem::path& file) {
  std::stringstream page;
  page << std::ifstream(file).rdbuf();
  const std::string text = updated(file, page.str());
  if (text.empty()) return false;
  std::ofstream out(file);
  out << text << std::flush;
  return out.good();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    std::cout << tests::generated_reference();
    return 0;
  }
  if (argc < 3 || std::string(argv[1]) != "--update") {
    std::cerr << "usage: pglodge_reference [--update conf/reference.md packaging/man/*.5]\n";
    return 2;
  }
  for (int i = 2; i < argc; ++i) {
    if (update(argv[i])) continue;
    std::cerr << "pglodge_reference: " << argv[i] << " could not be written, or is not such a page\n";
    return 1;
  }
  return 0;
}
