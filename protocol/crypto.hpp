// The hashes of PostgreSQL's authentication methods. The only user of libcrypto in protocol/, with `secret.hpp`,
// whose two functions live here too.
//
// SHA-256 fails only for want of memory, or if libcrypto is not usable at all; both are thrown as std::bad_alloc,
// since a digest that is not one must never be taken for a key. MD5 may be missing by policy, which is a value.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/byte_reader.hpp"
#include "protocol/error.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

secret_key sha256(byte_view data);

/// RFC 2104 with SHA-256. Keys of any length.
secret_key hmac_sha256(byte_view key, byte_view data);

/// RFC 8018, section 5.2, one block: what RFC 5802 calls Hi(). Takes about a microsecond an iteration: away from
/// event loops with it. `iterations` is at least 1.
secret_key pbkdf2_hmac_sha256(std::string_view password, byte_view salt, std::uint32_t iterations);

/// 32 hexadecimal digits, lower case, of the two one behind the other. Error: md5_unavailable, where a FIPS policy
/// forbids MD5.
result<secret_string> md5_hex(std::string_view first, std::string_view second);

}  // namespace pgwire
