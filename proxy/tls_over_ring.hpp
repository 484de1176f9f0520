// TLS by the ring of an event loop: OpenSSL reads and writes what io_ring::stream receives and sends, in the place of
// the socket.
//
// On the socket itself it takes two calls to read a record, its head and its body, and one to write it. Here both come
// out of the bytes that the ring has brought already, and a record written goes with the next exchange.
#pragma once

#include "proxy/io_ring.hpp"
#include "proxy/tls.hpp"

namespace proxy {

/// From now on `tls` goes by `stream`, which must outlive that. Throws std::bad_alloc.
void carry_by_ring(const tls_stream& tls, io_ring::stream& stream);
/// And from now on by the socket itself again.
void carry_by_socket(const tls_stream& tls, int descriptor);

}  // namespace proxy
