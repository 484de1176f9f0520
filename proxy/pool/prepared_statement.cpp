#include "proxy/pool/prepared_statement.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "protocol/ascii.hpp"
#include "protocol/backend_messages.hpp"

namespace proxy {
namespace {

// No client may call a statement so.
constexpr std::string_view name_prefix = "pglodge_";

// Of one hash. Only who wants to makes more of them, so that all are looked at each time; those are not shared.
constexpr std::size_t most_alike = 16;

std::uint64_t hash_of(std::string_view text, const std::vector<std::uint32_t>& types) {
  std::uint64_t hash = std::hash<std::string_view>{}(text);
  for (const std::uint32_t type : types) hash = (hash ^ type) * 0x100000001B3U;  // the prime of FNV-1a
  return hash;
}

// A longer text is not looked through for what would matter only if it came often.
constexpr std::size_t most_looked_through = std::size_t{64} << 10;

// Words that a date or a time may be written by (PostgreSQL docs, 8.5.1.4, Special Values); now() is none.
bool may_tell_time(std::string_view text) {
  constexpr std::array<std::string_view, 4> words{"now", "today", "tomorrow", "yesterday"};
  if (text.size() > most_looked_through) return true;
  const auto is_letter = [](char c) {
    const char letter = pgwire::lower(c);
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '_' || pgwire::is_high(c);
  };
  for (auto at = text.begin(); at != text.end();) {
    at = std::find_if(at, text.end(), is_letter);
    const auto end = std::find_if_not(at, text.end(), is_letter);
    const auto is_it = [&](std::string_view word) {
      return std::ranges::equal(std::string_view(at, end), word, {}, pgwire::lower);
    };
    const bool called = end != text.end() && *end == '(';
    if (!called && std::ranges::any_of(words, is_it)) return true;
    at = end;
  }
  return false;
}

}  // namespace

statement_ptr statement_store::share(std::string_view text, std::vector<std::uint32_t> types,
                                     std::shared_ptr<const pgwire::verdict> verdict, std::string_view encoding) {
  const std::uint64_t hash = hash_of(text, types);
  auto [at, end] = known_.equal_range(hash);
  std::size_t alike = 0;
  while (at != end && alike < most_alike) {
    const statement_ptr known = at->second.lock();
    if (!known) {
      at = known_.erase(at);
      continue;
    }
    if (known->text == text && known->parameter_types == types && known->encoding == encoding) return known;
    ++at;
    ++alike;
  }
  auto made = std::make_shared<const prepared_statement>(
      prepared_statement{std::string(text), std::move(types), std::move(verdict), hash, std::string(encoding),
                         may_tell_time(text), pgwire::may_ask_for_data(text)});
  if (alike == most_alike) return made;
  if (known_.size() >= sweep_at_) sweep();
  known_.emplace(hash, made);
  return made;
}

void statement_store::sweep() {
  std::erase_if(known_, [](const auto& known) { return known.second.expired(); });
  sweep_at_ = 2 * known_.size() + 1024;
}

const server_statements::prepared* server_statements::find(const statement_ptr& statement, std::uint64_t state) {
  const auto found = by_key_.find(key{statement, state});
  if (found == by_key_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return &*found->second;
}

void server_statements::set_shape(std::string_view name, std::uint64_t shape) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) found->second->shape = shape;
}

void server_statements::set_stale(std::string_view name) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) found->second->went_stale = true;
}

const std::string& server_statements::add(const statement_ptr& statement, std::uint64_t state) {
  if (const auto before = by_key_.find(key{statement, state}); before != by_key_.end()) {
    unwanted_.push_back(before->second->name);
    remove(unwanted_.back());
  }
  if (by_use_.size() >= most) {
    unwanted_.push_back(by_use_.back().name);
    remove(unwanted_.back());
  }
  by_use_.push_front(entry{{.name = std::string(name_prefix) + std::to_string(next_++)}, {statement, state}});
  by_key_.emplace(by_use_.front().what, by_use_.begin());
  by_name_.emplace(by_use_.front().name, by_use_.begin());
  return by_use_.front().name;
}

void server_statements::remove(std::string_view name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return;
  const auto gone = found->second;
  by_name_.erase(found);
  by_key_.erase(gone->what);
  by_use_.erase(gone);
}

void server_statements::retire() {
  for (const entry& each : by_use_) unwanted_.push_back(each.name);
  by_key_.clear();
  by_name_.clear();
  by_use_.clear();
}

void server_statements::clear() {
  by_key_.clear();
  by_name_.clear();
  by_use_.clear();
  unnamed.reset();
  unnamed_unknown = false;
}

bool is_reserved_name(std::string_view name) { return name.starts_with(name_prefix); }

std::uint64_t shape_of(pgwire::byte_view row_description) {
  std::uint64_t shape = 1;
  if (row_description.empty()) return shape;
  const auto described = pgwire::backend::row_description::decode(row_description);
  if (!described) return shape;
  for (const auto& field : described->fields) {
    for (const std::uint64_t part : {std::uint64_t{std::hash<std::string_view>{}(field.name)},
                                     std::uint64_t{field.type_oid}, static_cast<std::uint64_t>(field.type_modifier)}) {
      shape = (shape ^ part) * 0x100000001B3U;
    }
  }
  return shape;
}

}  // namespace proxy
