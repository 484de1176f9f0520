// Names with holes: "{role}.{tenant}" takes "app.acme" apart, "tenant_{tenant}" puts one together.
//
// Taking apart: literal text must be there as it stands; each capture takes as little as possible but at least one
// character, the last takes the rest up to the literal that ends the template. Two captures without text between
// them are refused, since nothing would say where one ends. "{{" and "}}" stand for the braces themselves.
#pragma once

#include <expected>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace routing {

class name_template {
 public:
  /// `known` are the variables that may occur, each at most once. The error says what is wrong, for people.
  static std::expected<name_template, std::string> parse(std::string_view text,
                                                         std::initializer_list<std::string_view> known);

  using captures = std::vector<std::pair<std::string_view, std::string_view>>;  ///< views: of the template,
                                                                                ///< and of the input
  [[nodiscard]] std::optional<captures> match(std::string_view input) const;

  /// Every {tenant} replaced. For templates with no other variable.
  [[nodiscard]] std::string fill(std::string_view tenant) const;

  [[nodiscard]] bool has(std::string_view variable) const;
  /// As it was written.
  [[nodiscard]] const std::string& text() const { return text_; }
  friend bool operator==(const name_template& a, const name_template& b) { return a.text_ == b.text_; }

 private:
  struct part {
    bool is_variable = false;
    std::string text;
  };
  std::string text_;
  std::vector<part> parts_;
};

}  // namespace routing
