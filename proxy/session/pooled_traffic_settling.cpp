// Between two transactions: what the last one has left behind, whether the lease is over, and what the client has to
// hear of the server's settings.
#include <string_view>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/pooled_traffic.hpp"

namespace proxy {
namespace {

namespace backend = pgwire::backend;
namespace sqlstate = pgwire::sqlstate;

// How often it is asked what a transaction has left behind, before that counts as unknown.
constexpr int most_inventories = 5;

}  // namespace

// The answer to `ask`, or an error instead.
void pooled_traffic::on_inventory(byte_run& to_server) {
  server_->let_rows_pass();
  const auto found = asking_->query.result();
  if (!found) {
    const bool cancelled = asking_->failed_by == sqlstate::query_canceled;
    const int most = cancelled ? most_cancelled : most_inventories;
    const int times = asking_->times;
    auto again = times > most ? std::nullopt : changes_.ask_again(asking_->query.request(), asking_->failed_by);
    lost_track_ = !again;
    server_->suspect = server_->suspect || !cancelled;  // not all is asked about now
    if (again) ask(std::move(*again), times + 1, to_server);
    return;
  }
  const auto superuser = server_->reported->find("is_superuser");
  if (move_) move_->confirmed = speech_.confirmed_by(found->settings);
  const bool is_superuser = superuser != server_->reported->end() && superuser->second == "on";
  changes_.take(*found, asking_->query.pins(), is_superuser);
  server_->worn = changes_.strayed() ? nullptr : changes_.state();
  forbidden_ = changes_.forbidden().has_value();
  asking_.reset();
}

std::optional<pgwire::error_report> pooled_traffic::forbidden() const {
  if (!too_large_) return changes_.forbidden();
  return pgwire::error_report{"ERROR",
                              std::string(sqlstate::program_limit_exceeded),
                              "the settings of this session are too large to be carried along",
                              "In transaction pooling, what a transaction sets may have 1 MiB.",
                              {}};
}

// After DISCARD ALL.
void pooled_traffic::dress_again(byte_run& to_server) {
  discarded_ = restoring_ = false;
  put_on({}, random_seed::stays, reply::at_once, to_server);
}

// After a ReadyForQuery: is the lease over, or is there something to ask first?
void pooled_traffic::settle(byte_run& to_server) {
  if (status_ != 'I' || !answers_.empty() || unsynced_ || restoring_) return;
  portals_.clear();
  changes_.transaction_ended();
  const bool failed = std::exchange(failed_, false);
  if (std::exchange(discarded_, false) && failed) {
    dress_again(to_server);  // what should have restored it was skipped or rolled back
    failed_ = failed;
    return;
  }
  if (changes_.due()) {
    ask(changes_.take_request(), 1, to_server);
    failed_ = failed;
    return;
  }
  if (move_ && move_->ends) end_move(failed);
  if (changes_.pins().empty() && !held_) {
    over_ = true;
    if (changes_.terms().prepare == routing::prepare_mode::off) server_->statements.retire();
  }
}

// What the client believes; empty where it has not been told.
std::string_view pooled_traffic::told(std::string_view parameter) const {
  const auto known = told_->find(parameter);
  return known != told_->end() ? std::string_view(known->second) : std::string_view();
}

// What the server reports by now and the client has not heard.
void pooled_traffic::tell_parameters(byte_run& to_client) {
  if (told_ == server_->reported) return;
  for (const auto& [name, value] : *server_->reported) {
    const auto known = told_->find(name);
    if (!greeted_ || (known != told_->end() && known->second == value)) continue;
    to_client.insert(backend::parameter_status{name, value}.encode());
  }
  told_ = server_->reported;
}

}  // namespace proxy
