// Which tenant a session is for, as far as it says so itself while it runs. Pure.
//
// A statement that names another tenant runs at that tenant's place already, since a session that has named none yet
// has no other. So it stands alone: first and last of its transaction, its pipeline and its text. It counts if it has
// succeeded and the server, asked afterwards, says so.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/error_response.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/statement.hpp"
#include "proxy/seldom.hpp"
#include "routing/session_hints.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

using session_hints_ptr = std::shared_ptr<const routing::session_hints>;

class tenant_speech {
 public:
  /// Who the session is by its login. Whoever came in by a user, a certificate or a server name stays who it is.
  void begin(const routing::identity& login);
  /// The hints in force, from now on. `waits`: who has named no tenant may do nothing else before.
  void listen_to(session_hints_ptr hints, bool waits) {
    hints_ = std::move(hints);
    waits_ = waits;
    if (spoken_) std::erase_if(spoken_->said, [&](const auto& said) { return !hints_->concerns(said.first); });
  }

  [[nodiscard]] bool listens() const { return hints_ && !hints_->empty(); }
  [[nodiscard]] const routing::tenant_id& current() const { return spoken_ ? spoken_->current : login_; }
  /// It stays who it is, whatever it says.
  [[nodiscard]] bool is_fixed() const { return fixed_; }
  /// It has named no tenant, and must before anything else.
  [[nodiscard]] bool is_waiting() const { return waits_ && current().empty(); }

  /// Whether the statement could name a tenant.
  [[nodiscard]] bool concerns(const pgwire::verdict& verdict) const;

  /// Where a statement runs, and who the session is afterwards.
  struct move {
    routing::tenant_id now;   ///< where it runs
    routing::tenant_id then;  ///< once it has succeeded
    routing::tenant_id back;  ///< if it fails
  };
  /// What a statement says; nothing if it leaves the tenant as it is. `verdict`: null for one that matters to no
  /// session. `values`: of its parameters, null if there are none. `first`: nothing ran before it in its transaction.
  /// Errors, with severity ERROR: 3D000 (no id), 28000 (two different tenants; a tenant fixed by the login; none named
  /// yet, and this does not), 25001 (not first, or not alone), 0A000 (whom it names cannot be told before it runs).
  std::expected<std::optional<move>, pgwire::error_report> hear(const pgwire::verdict* verdict,
                                                                const pgwire::frontend::bind* values, bool first);

  /// Whether the server has the values that the move at hand is about: what was asked of it afterwards.
  [[nodiscard]] bool confirmed_by(
      const std::vector<std::pair<std::string, std::optional<std::string>>>& settings) const;
  /// Of a text, or a function, that could name a tenant and cannot be read: 0A000.
  static pgwire::error_report unreadable();
  /// Of what does not stand alone: 25001.
  static pgwire::error_report not_alone();

  /// The session is for `tenant` now; `done`: of a move whose statement succeeded.
  void become(const routing::tenant_id& tenant, bool done);

 private:
  using sayings = std::vector<std::pair<std::string, routing::tenant_id>>;  // by setting
  [[nodiscard]] std::expected<routing::tenant_id, pgwire::error_report> meant_by(const sayings& all) const;

  session_hints_ptr hints_;
  routing::tenant_id login_;
  bool fixed_ = false;
  bool waits_ = false;
  // Of a session that has named a tenant itself, or has tried to.
  struct spoken {
    routing::tenant_id current;
    sayings said = {};
    sayings saying = {};  // with the move at hand
  };
  spoken& speak();
  seldom<spoken> spoken_;
};

}  // namespace proxy
