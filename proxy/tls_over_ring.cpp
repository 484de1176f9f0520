#include "proxy/tls_over_ring.hpp"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <new>
#include <span>

namespace proxy {
namespace {

io_ring::stream& stream_of(BIO* bio) { return *static_cast<io_ring::stream*>(BIO_get_data(bio)); }

// What a call came to, in OpenSSL's terms: 1 and how much, 0 for the end, or -1 and whether to try again.
int told(const io_result& came, std::size_t* moved) {
  *moved = came.bytes;
  switch (came.status) {
    case io_status::done: return 1;
    case io_status::end: return 0;
    case io_status::would_block: return -1;
    case io_status::failed: errno = came.error; return -1;
  }
  return -1;
}

int read(BIO* bio, char* into, std::size_t size, std::size_t* got) {
  BIO_clear_retry_flags(bio);
  const io_result came = stream_of(bio).read_some(std::as_writable_bytes(std::span(into, size)));
  if (came.status == io_status::would_block) BIO_set_retry_read(bio);
  if (came.status == io_status::end) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return told(came, got);
}

int write(BIO* bio, const char* from, std::size_t size, std::size_t* sent) {
  BIO_clear_retry_flags(bio);
  const io_result came = stream_of(bio).write_soon(std::as_bytes(std::span(from, size)));
  if (came.status == io_status::would_block) BIO_set_retry_write(bio);
  return told(came, sent);
}

long control(BIO* bio, int what, long, void*) {
  if (what == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return what == BIO_CTRL_FLUSH ? 1 : 0;  // it goes with the next exchange
}

const BIO_METHOD* method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "io_ring");
    const bool whole = fresh != nullptr && BIO_meth_set_read_ex(fresh, read) == 1 &&
                       BIO_meth_set_write_ex(fresh, write) == 1 && BIO_meth_set_ctrl(fresh, control) == 1;
    if (!whole) throw std::bad_alloc();
    return fresh;
  }();
  return made;
}

}  // namespace

void carry_by_ring(const tls_stream& tls, io_ring::stream& stream) {
  BIO* const bio = BIO_new(method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, &stream);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls.get(), bio, bio);
}

void carry_by_socket(const tls_stream& tls, int descriptor) {
  if (SSL_set_fd(tls.get(), descriptor) != 1) throw std::bad_alloc();
}

}  // namespace proxy
