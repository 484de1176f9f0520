#include "protocol/saslprep.hpp"

#include <stringprep.h>

#include <algorithm>
#include <array>
#include <vector>

namespace pgwire {
namespace {

// NFKC makes no UTF-8 text longer than eleven times (Unicode Standard Annex 15, "Detecting Normalization Forms";
// U+FDFA does), and none of the other steps makes it longer at all.
constexpr std::size_t most_growth = 11;

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// Unicode Corrigendum 4: what these decompose to, which Unicode 3.2 had wrong.
constexpr std::array<Stringprep_table_element, 6> corrected_ideographs{{
    {0x2f868, 0x2f868, {0x36fc}},
    {0x2f874, 0x2f874, {0x5f53}},
    {0x2f91f, 0x2f91f, {0x243ab}},
    {0x2f95f, 0x2f95f, {0x7aee}},
    {0x2f9bf, 0x2f9bf, {0x45d7}},
    {},  // the end, for libidn
}};

// libidn's own profile with its normalisation moved to the end: it runs the steps in the order they stand in.
std::vector<Stringprep_profile> postgres_order() {
  std::vector<Stringprep_profile> steps;
  Stringprep_profile normalise{};
  for (const auto* step = stringprep_saslprep; step->operation != Stringprep_profile_steps{}; ++step) {
    if (step->operation == STRINGPREP_NFKC) {
      normalise = *step;
    } else {
      steps.push_back(*step);
    }
  }
  steps.push_back({STRINGPREP_MAP_TABLE, {}, corrected_ideographs.data(), corrected_ideographs.size() - 1});
  steps.push_back(normalise);
  steps.push_back({});  // the end, for libidn
  return steps;
}

}  // namespace

secret_string saslprep(std::string_view password) {
  static const auto profile = postgres_order();
  // A zero byte would end the text for libidn, and no password of PostgreSQL's holds one.
  if (std::ranges::all_of(password, is_ascii) || password.contains('\0')) return secret_string(password);

  secret_string buffer(password.size() * most_growth + 1);
  const auto text = buffer.writable();
  password.copy(text.data(), password.size());
  // Also the place where what is not UTF-8 is found out.
  if (stringprep(text.data(), text.size(), STRINGPREP_NO_UNASSIGNED, profile.data()) != STRINGPREP_OK) {
    return secret_string(password);
  }
  const std::string_view prepared(text.data());
  return secret_string(prepared.empty() ? password : prepared);
}

}  // namespace pgwire
