// Which hosts cannot be listened on at one port, as far as it can be told without asking for the addresses of names.
#pragma once

#include <string_view>

namespace conf {

/// Of two hosts as `listen` and `admin.http` write them: one bound, the other could not be. Addresses of IPv4 and of
/// IPv6 stand side by side, also where each is every address of its family; "*" is both.
bool exclude_each_other(std::string_view one, std::string_view other);

}  // namespace conf
