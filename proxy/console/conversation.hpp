// The console's side of the protocol, sans I/O: a client's bytes go in, the answers come out, and commands are handed
// to whoever can carry them out. Simple and extended queries, one at a time; rows are written as far as there is room,
// so that a client that does not read costs one buffer.
//
// A text of several statements is read as a whole before anything of it runs. The transactions that drivers open are
// acknowledged and mean nothing. Whether its user may have a command carried out is asked by who carries it out, then.
//
// What must hold: after `asks` comes exactly one `answer`. Bytes that were fed stay until `keep`, or until `advance`
// says starved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/frame_cutter.hpp"
#include "protocol/frontend_messages.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/table.hpp"

namespace proxy::console {

/// What came of a command.
struct answer {
  std::optional<pgwire::error_report> error;  ///< then nothing else counts
  std::optional<table> rows;
  std::string notice;  ///< told besides; empty: nothing

  static answer refused(pgwire::error_report why) {
    answer made;
    made.error = std::move(why);
    return made;
  }
};

class conversation {
 public:
  static constexpr std::size_t most_text = std::size_t{64} * 1024;     ///< of a query, in bytes of its message
  static constexpr std::size_t most_prepared = 256;                    ///< statements, and portals
  static constexpr std::size_t most_written = std::size_t{32} * 1024;  ///< when `advance` stops, give or take a row
  static constexpr int most_steps = 256;                               ///< rows looked at before others may run

  explicit conversation(std::string user);

  void feed(std::span<const std::byte> chunk) { incoming_.feed(chunk); }
  void keep() { incoming_.keep(); }

  enum class step : std::uint8_t {
    starved,     ///< everything was dealt with; more bytes are needed
    goes_on,     ///< write what there is, let others run, call again
    asks,        ///< `asked` is to be carried out, then `answer`
    terminated,  ///< the client said goodbye
    fault,       ///< it sent what the protocol forbids: `fault`
  };
  /// Appends what goes to the client.
  step advance(std::string& out);
  [[nodiscard]] const command& asked() const { return running_->what; }
  void answer_with(answer what);
  [[nodiscard]] pgwire::errc fault() const { return *fault_; }
  /// Nothing is half done, and the client is outside of what it believes to be a transaction.
  [[nodiscard]] bool idle() const;

 private:
  using formats = std::vector<std::int16_t>;
  struct statement {
    std::string text;
    std::vector<std::uint32_t> types;  // of the parameters
    std::optional<command> what;       // nothing: an empty text
  };
  struct portal {
    std::optional<command> what;
    formats as;
    std::optional<selection> rest;  // of one that was suspended
    bool done = false;
  };
  // A command under way, whose rows are being written.
  struct run {
    command what;
    formats as;
    std::string portal;
    bool extended = false;
    bool asks = false;
    std::optional<selection> rows = {};
    std::uint64_t most_rows = 0;  // 0: all
    std::uint64_t written = 0;
  };

  void take(const pgwire::frame_piece& piece, std::string& out);
  void take_too_long(const pgwire::frame_piece& piece, std::string& out);
  void on_query(std::string_view text, std::string& out);
  void on_sync(std::string& out);
  // In conversation_extended.cpp. Error: what the client is told.
  using outcome = std::optional<pgwire::error_report>;
  outcome extended(const pgwire::frame_piece& piece, std::string& out);
  outcome on_parse(const pgwire::frontend::parse& message, std::string& out);
  outcome on_bind(const pgwire::frontend::bind& message, std::string& out);
  outcome on_describe(const pgwire::frontend::describe& message, std::string& out);
  outcome on_execute(const pgwire::frontend::execute& message, std::string& out);
  void on_close(const pgwire::frontend::close& message, std::string& out);

  void begin(run what);
  void show_rows(std::string& out);
  void complete(std::string_view tag, std::string& out);
  void fail(const pgwire::error_report& why, std::string& out);
  void ready(std::string& out);
  static void describe(const columns& heads, const formats& as, std::string& out);

  const std::string user_;
  pgwire::frame_cutter incoming_;
  std::deque<command> queued_;  // of a simple query, behind the one under way
  bool in_query_ = false;       // a simple query is under way
  bool skips_ = false;          // to the next Sync
  bool in_transaction_ = false;
  bool terminated_ = false;
  char too_long_ = 0;  // the type of a message whose rest is being skipped
  std::optional<run> running_;
  std::optional<answer> answer_;
  std::map<std::string, statement, std::less<>> statements_;
  std::map<std::string, portal, std::less<>> portals_;
  std::optional<pgwire::errc> fault_;
};

/// A row as its columns' types and the wanted formats have it. `as` has none, one for all, or one each.
void write_row(const columns& heads, const row& cells, std::span<const std::int16_t> as, std::string& out);

}  // namespace proxy::console
