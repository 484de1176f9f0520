// What a server reports of its settings by ParameterStatus (PostgreSQL docs, 55.2.7).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace proxy {

using parameter_map = std::map<std::string, std::string, std::less<>>;
using parameters_ptr = std::shared_ptr<const parameter_map>;  ///< most sessions are told the same

/// As many as a session's server may report before it is not believed any more: PostgreSQL has some fifteen.
inline constexpr std::size_t most_parameters = 100;

/// The ParameterStatus messages among these whole ones, the last of each.
parameters_ptr parameters_in(std::string_view messages);

/// These with what was reported later; the same object if that says nothing new.
parameters_ptr with_changes(const parameters_ptr& parameters, const parameter_map& later);

/// What lets a client in: AuthenticationOk, and a ParameterStatus for each. BackendKeyData and ReadyForQuery are to
/// follow.
std::string encode_greeting(const parameter_map& parameters);

}  // namespace proxy
