// Texts as YAML writes them, for files that the lodge makes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conf {

/// A scalar that is read as this text, wherever it stands: bare where that is certain, else in double quotes.
std::string yaml_scalar(std::string_view text);

/// The same for a text that is read as a template and has no variables: braces doubled.
std::string yaml_template(std::string_view literal);

/// "[a, b]", of what is YAML already.
std::string yaml_list(const std::vector<std::string>& items);

/// A mapping on one line, "{ a: 1, b: 2 }": of keys and values that are YAML already, in the order in which they came.
class yaml_flow {
 public:
  void add(std::string_view key, std::string value) { pairs_.emplace_back(key, std::move(value)); }
  [[nodiscard]] bool empty() const { return pairs_.empty(); }
  [[nodiscard]] std::string str() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace conf
