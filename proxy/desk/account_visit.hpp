// A session's stay with an account: counted there for as long as this lives.
#pragma once

#include <memory>
#include <utility>

namespace proxy::desk {

/// Move-only; a default-constructed one is nobody's. The account makes it when it has counted the session, and hears
/// of its end by `leave`.
template <class Account>
class [[nodiscard]] account_visit {
 public:
  account_visit() = default;
  account_visit(account_visit&& other) noexcept : to_(std::move(other.to_)) {}
  account_visit& operator=(account_visit&& other) noexcept {
    to_.swap(other.to_);
    return *this;
  }
  ~account_visit() {
    if (to_) to_->leave();
  }
  Account* operator->() const { return to_.get(); }
  [[nodiscard]] Account* get() const { return to_.get(); }
  explicit operator bool() const { return to_ != nullptr; }

 private:
  friend Account;
  explicit account_visit(std::shared_ptr<Account> to) : to_(std::move(to)) {}
  std::shared_ptr<Account> to_;
};

}  // namespace proxy::desk
