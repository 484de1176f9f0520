// A small HTTP/1.1 server on a thread of its own, for those who look after the lodge. It has nothing in common with the
// workers but the machine, and its thread stands behind theirs for that.
//
// GET and HEAD only, without bodies. What anybody can make it do has a bound: the size of a request's head, the time of
// a request and its answer, the number of connections. When there are too many, the one that has been silent for
// longest gives way to the newcomer, so that those who only sit there keep nobody out.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/listening_sockets.hpp"

namespace proxy::desk {

struct http_answer {
  unsigned status = 200;
  std::string_view content_type;  ///< static
  std::shared_ptr<const std::string> body;
};

class http_server {
 public:
  /// From the path, without what follows a '?', to the answer. Called on the server's thread, one call at a time.
  using answerer = std::function<http_answer(std::string_view path)>;

  static constexpr std::size_t longest_head = 8192;  ///< bytes: request line and headers
  static constexpr std::size_t most_connections = 64;

  /// Listens at host and port (RFC 3986, without a scheme); see listen_tcp. Error: for the log.
  static std::expected<std::unique_ptr<http_server>, std::string> open(const std::string& where,
                                                                       inherited_sockets& inherited, answerer answer);
  /// As `stop`.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Starts the thread.
  void start();
  /// From any thread: runs `work` on the server's.
  void post(std::function<void()> work);
  /// Ends every connection and the thread.
  void stop();
  /// The address that it listens on, for the log.
  [[nodiscard]] std::string name() const;
  /// The listening sockets, to be passed on; they stay the server's.
  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  class impl;
  explicit http_server(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace proxy::desk
