// What a server still has to answer, in order, and what is to become of each answer: the client's own pass, the
// lodge's are kept from it, and some are put in that no server gives.
//
// A queue in a vector: it is empty most of the time, and an idle session owns next to nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "protocol/error_response.hpp"
#include "proxy/pool/prepared_statement.hpp"

namespace proxy {

/// A statement that the lodge puts into a client's text of several.
struct put_in {
  std::size_t statement;  ///< its place among those of the text that is sent
  std::size_t begin;      ///< where it begins there, in characters
  std::size_t length;     ///< with its semicolon, in characters
};

struct expected_answer {
  enum class kind : std::uint8_t { parse, bind, describe, execute, close, sync, query, function_call, answer };
  enum class owner : std::uint8_t { client, undress, dress, restore, inventory, helper };
  enum class on_skip : std::uint8_t { nothing, forget_name, recall_name, recall_unnamed };

  kind what;
  owner whose = owner::client;
  bool silent = false;        ///< the client's, as far as an error goes; it does not know of success
  bool hold_ready = false;    ///< query: what it reset is restored before the client hears that it is done
  bool dress_after = false;   ///< execute: the same of one in a pipeline, before anything else of it runs
  bool shape_wanted = false;  ///< describe: the result's shape, of the server's statement and the client's
  bool may_copy = false;      ///< query, execute: the server may ask for COPY data
  bool behind_flush = false;  ///< query, function_call: of a pipeline, at whose Flush an error may have come up
  bool ends_naming = false;   ///< sync, query, function_call: see names_in_doubt
  bool ends_unnamed = false;  ///< the same of the unnamed statement
  on_skip undo = on_skip::nothing;
  statement_ptr statement;   ///< with recall_*: what the client's name meant before
  std::string client_name;   ///< of a statement
  std::string server_name;   ///< of one that is lost if this comes to nothing
  std::string text;          ///< answer: the bytes; bind, describe: the statement's name at the server
  std::vector<put_in> ours;  ///< query: what the lodge put in, in order
  std::uint64_t portal = 0;  ///< bind, close: its number, see portals
  std::size_t done = 0;      ///< statements of the query that have been answered
  std::shared_ptr<pgwire::error_report> refusal;  ///< the server is made to fail; the client is told this

  /// It makes the server's unnamed statement the client's, or closes one that is not.
  [[nodiscard]] bool restores_unnamed() const {
    return silent && (what == kind::parse || what == kind::close) && client_name.empty() && server_name.empty();
  }
  /// Answered by a ReadyForQuery.
  [[nodiscard]] bool ends_with_ready() const {
    return what == kind::query || what == kind::sync || what == kind::function_call;
  }
  /// Whether the client sees nothing of the answer at hand.
  [[nodiscard]] bool hidden() const {
    return whose != owner::client || silent || std::ranges::find(ours, done, &put_in::statement) != ours.end();
  }
};

/// Whether statements were given to names, or taken from them, in a pipeline that has been closed, and not answered: if
/// it fails, they are not what they seem. The unnamed statement counts apart, since most pipelines begin with a new
/// one.
class names_in_doubt {
 public:
  void sent(expected_answer& what) {
    using enum expected_answer::on_skip;
    const bool own = what.what == expected_answer::kind::parse && !what.client_name.empty();
    names_.open =
        names_.open || own || !what.server_name.empty() || what.undo == recall_name || what.undo == forget_name;
    unnamed_.open = unnamed_.open || what.undo == recall_unnamed || what.restores_unnamed();
    if (!what.ends_with_ready()) return;
    what.ends_naming = names_.close();
    what.ends_unnamed = unnamed_.close();
  }
  void answered(const expected_answer& what) {
    names_.closed -= what.ends_naming ? 1 : 0;
    unnamed_.closed -= what.ends_unnamed ? 1 : 0;
  }
  [[nodiscard]] bool names() const { return names_.closed > 0; }
  /// Not where it is a new one of the pipeline at hand.
  [[nodiscard]] bool unnamed() const { return unnamed_.closed > 0 && !unnamed_.open; }

 private:
  struct count {
    bool open = false;         // in the pipeline at hand
    std::uint32_t closed = 0;  // pipelines
    bool close() {
      closed += open ? 1 : 0;
      return std::exchange(open, false);
    }
  };
  count names_, unnamed_;
};

class expected_answers {
 public:
  [[nodiscard]] bool empty() const { return head_ == all_.size(); }
  [[nodiscard]] expected_answer* front() { return empty() ? nullptr : &all_[head_]; }
  [[nodiscard]] std::span<const expected_answer> waiting() const { return std::span(all_).subspan(head_); }

  /// The server has nothing to answer, and yet there is something to tell.
  [[nodiscard]] bool only_put_in() const {
    return !empty() &&
           std::ranges::all_of(waiting(), [](const auto& at) { return at.what == expected_answer::kind::answer; });
  }
  /// What the server's next ReadyForQuery answers; null: nothing that it was told yet.
  [[nodiscard]] const expected_answer* next_ready() const {
    const auto found = std::ranges::find_if(waiting(), [](const auto& at) { return at.ends_with_ready(); });
    return found != waiting().end() ? &*found : nullptr;
  }
  /// The server has yet to say in which state it leaves a transaction.
  [[nodiscard]] bool owes_ready() const { return readies_ > 0; }
  // What `front` or `push` gave is not valid after another `push`.

  void push(expected_answer&& what) {
    move_up();
    readies_ += what.ends_with_ready() ? 1U : 0U;
    copies_ += what.may_copy ? 1U : 0U;
    all_.push_back(std::move(what));
  }
  /// One that has nothing special about it, or nothing yet: it is large, and dear to move.
  expected_answer& push(expected_answer::kind what) {
    move_up();
    expected_answer& made = all_.emplace_back(what);
    readies_ += made.ends_with_ready() ? 1U : 0U;
    return made;
  }
  /// The first behind `entry`, which is one of these, whose undoing is of the same kind; null: none.
  [[nodiscard]] expected_answer* next_to_undo(const expected_answer& entry) {
    const auto same = [&](const expected_answer& at) { return at.undo == entry.undo; };
    const auto found = std::find_if(all_.begin() + (&entry - all_.data()) + 1, all_.end(), same);
    return found != all_.end() ? &*found : nullptr;
  }
  void pop() {
    readies_ -= all_[head_].ends_with_ready() ? 1U : 0U;
    copies_ -= all_[head_].may_copy ? 1U : 0U;
    ++head_;
    if (empty()) clear();
  }
  /// Of memory, in answers: for tests.
  [[nodiscard]] std::size_t capacity() const { return all_.capacity(); }
  void clear() {
    all_.clear();
    head_ = 0;
    readies_ = copies_ = 0;
    if (all_.capacity() > most_kept) all_.shrink_to_fit();
  }
  /// The same, and gives all memory back.
  void keep_none() {
    all_ = std::vector<expected_answer>();  // from {} it would keep its memory
    head_ = 0;
    readies_ = copies_ = 0;
  }
  /// The server may yet ask for COPY data: whatever else it is sent before that is data or is not, as it happens.
  [[nodiscard]] bool may_copy() const { return copies_ > 0; }
  /// The client has ended the data of the answer in front, and if it is an Execute's it is not asked for more.
  void copy_ended() {
    if (all_[head_].what != expected_answer::kind::execute || !all_[head_].may_copy) return;
    all_[head_].may_copy = false;
    --copies_;
  }

 private:
  static constexpr std::size_t most_kept = 16;

  // A client that always has one more under way never lets the queue run empty.
  void move_up() {
    if (head_ <= most_kept || head_ * 2 <= all_.size()) return;
    all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(std::exchange(head_, 0)));
  }

  std::vector<expected_answer> all_;  // from head_ on
  std::size_t head_ = 0;
  std::size_t readies_ = 0, copies_ = 0;  // of those that wait
};

}  // namespace proxy
