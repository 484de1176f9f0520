// What a client has been told, as a list of messages that can be compared: without what may be another at another
// server, the notices and the errors' places. ParameterStatus counts by what is known when the next ReadyForQuery
// comes.
#pragma once

#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"

namespace fuzz_model {

struct told {
  std::vector<std::string> messages;
  std::string unread;
  std::string application_name;
  std::size_t errors = 0;
  std::size_t compared = 0;

  void add(std::string_view bytes) {
    unread += bytes;
    while (unread.size() >= 5) {
      std::size_t length = 0;
      for (std::size_t at = 1; at < 5; ++at) length = length << 8 | static_cast<unsigned char>(unread[at]);
      if (unread.size() < length + 1) return;
      note(unread[0], std::string_view(unread).substr(5, length - 4));
      unread.erase(0, length + 1);
    }
  }

  /// All of it is what the other has been told first.
  [[nodiscard]] bool begins(const told& other) {
    while (compared < messages.size()) {
      if (compared >= other.messages.size() || messages[compared] != other.messages[compared]) return false;
      ++compared;
    }
    return true;
  }
  /// What is compared with `begins`.
  [[nodiscard]] bool same_as(const told& other) const {
    return unread.empty() && messages.size() == other.messages.size();
  }
  void show_difference(const told& other) const {
    const auto at = [&](const std::vector<std::string>& list) { return compared < list.size() ? list[compared] : "-"; };
    std::cerr << "told " << at(messages) << " instead of " << at(other.messages) << '\n';
  }

 private:
  void note(char type, std::string_view body) {
    const auto bytes = pgwire::as_bytes(body);
    if (type == 'S') {
      application_name = pgwire::backend::parameter_status::decode(bytes)->value;
    } else if (type == 'E') {
      ++errors;
      const auto error = pgwire::parse_error_fields(bytes);
      messages.push_back("E " + std::string(error->severity) + " " + std::string(error->code) + " " +
                         std::string(error->message));
    } else if (type == 'Z') {
      messages.push_back("Z " + std::string(body) + " " + application_name);
    } else if (type != 'N') {
      messages.push_back(type + (" " + std::string(body)));
    }
  }
};

}  // namespace fuzz_model
