// The daemon's workers, as one: started together, and each client given to whichever has least to do.
//
// How many there are and how they receive and send is decided at the start, and stays.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/visitor.hpp"
#include "proxy/worker.hpp"

namespace proxy {

class crew {
 public:
  /// `shared` must outlive it.
  explicit crew(shared_state& shared) : shared_(shared) {}

  /// As many as the settings ask for, or as there are cores. The error, for people: `io_method` cannot be had. Throws
  /// std::system_error where a thread, or what its event loop needs, cannot be had.
  [[nodiscard]] std::expected<void, std::string> start(const snapshot_ptr& first);
  /// Ends their loops, whatever is running, and joins the threads.
  void stop();

  [[nodiscard]] const std::vector<std::unique_ptr<worker>>& all() const { return all_; }
  /// Sessions of each, those on their way to it included. From any thread.
  [[nodiscard]] std::vector<std::size_t> loads() const;
  /// Their sum.
  [[nodiscard]] std::size_t sessions() const;
  /// When the slowest of them last looked after its sessions, which each does several times a second. From any thread.
  [[nodiscard]] clock::time_point last_moved() const;

  void take(visitor who);
  void publish(const snapshot_ptr& next);
  void close_sessions(closing how);

 private:
  shared_state& shared_;
  std::vector<std::unique_ptr<worker>> all_;
  std::optional<unsigned> workers_;  ///< as configured at the start
  conf::io_method io_{};
};

}  // namespace proxy
