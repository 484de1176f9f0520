// SASLprep (RFC 4013) of passwords, as PostgreSQL does it: src/common/saslprep.c, which both its server and libpq
// call before they derive SCRAM keys. Whoever prepares a password otherwise derives other keys, and the login fails.
//
// PostgreSQL departs from the RFC in three ways, and so does this:
//   - A password that is not UTF-8, or that the profile forbids, is used as it is, byte by byte: the encoding is not
//     known before the login. The RFC would refuse it.
//   - ASCII is used as it is, control characters included.
//   - What is forbidden (prohibited characters, those unassigned in Unicode 3.2, mixed directions) is looked for
//     after mapping but before normalisation; the RFC looks after it.
//
// libidn normalises by Unicode 3.2, PostgreSQL by a newer one. For characters that 3.2 knows they differ in what two
// corrigenda repaired: of number 4, five ideographs, we make good; of number 5, compositions across an intervening
// mark that occur in no language, we do not, and such a password does not log in.
#pragma once

#include <string_view>

#include "protocol/secret.hpp"

namespace pgwire {

/// The prepared password, or a copy of `password` where PostgreSQL would use it raw. Never fails. Work grows with
/// the length, and for long runs of combining marks with its square: bound it (`most_password_bytes`), and away
/// from event loops with it.
secret_string saslprep(std::string_view password);

}  // namespace pgwire
