// Bytes that nobody can guess, from the kernel (getrandom(2)).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace proxy {

/// Fills all of it. Throws std::system_error where the kernel has none to give, which no kernel since 3.17 does.
void fill_random(std::span<std::byte> bytes);

/// A number in [0, 1), of 53 random bits.
double random_fraction();

/// A nonce for a SCRAM exchange: 24 printable characters, of 18 random bytes as PostgreSQL takes (RFC 5802, 5.1).
std::string random_nonce();

}  // namespace proxy
