#include "proxy/tls.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <new>
#include <string_view>

#include "proxy/error_text.hpp"

#pragma GCC diagnostic ignored "-Wold-style-cast"  // OpenSSL's macros are C

namespace proxy {
namespace {

// One protocol name, as ALPN lists them: length, then the name (RFC 7301; registered for PostgreSQL).
constexpr std::array<unsigned char, 11> alpn{10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};

constexpr std::size_t most_certificate_depth = 9;

template <auto Free>
struct freed {
  template <class T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using x509 = std::unique_ptr<X509, freed<X509_free>>;
using general_names = std::unique_ptr<GENERAL_NAMES, freed<GENERAL_NAMES_free>>;

// The kernel's reason, where there is one, else what OpenSSL came to in the end.
std::string library_words() {
  std::string words;
  while (const unsigned long code = ERR_get_error()) {
    if (ERR_SYSTEM_ERROR(code)) {
      ERR_clear_error();
      return error_text(ERR_GET_REASON(code));
    }
    const char* reason = ERR_reason_error_string(code);
    words = reason != nullptr ? reason : "error " + std::to_string(code);
  }
  return words.empty() ? "no reason given" : words;
}

std::unexpected<std::string> failure(const std::string& what, const std::string& file) {
  return std::unexpected(what + " \"" + file + "\": " + library_words());
}

std::expected<std::shared_ptr<SSL_CTX>, std::string> make_context(const SSL_METHOD* method) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) return std::unexpected("no TLS context: " + library_words());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                         // PostgreSQL's own messages say where a stream ends.
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

// Asking for a passphrase would stop the daemon at its terminal: a key that needs one is refused instead.
int no_passphrase(char*, int, int, void*) { return -1; }

std::expected<void, std::string> use_certificate(SSL_CTX* context, const std::string& certificate,
                                                 const std::string& key) {
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return failure("cannot use the certificate", certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return failure("cannot use the key", key);
  }
  if (SSL_CTX_check_private_key(context) != 1) return failure("the certificate does not belong to the key", key);
  return {};
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

// A name as text, or nothing if it holds a NUL: what comes before it could be somebody else's name.
std::optional<std::string> text_of(const ASN1_STRING* name) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, name);
  if (size < 0) return std::nullopt;
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  return text;
}

// Nothing: a NUL is in one of them.
std::optional<certificate_names> names_in(const X509* certificate) {
  certificate_names names;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    auto text = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (!text) return std::nullopt;
    if (names.common_name.empty()) names.common_name = std::move(*text);  // the first, as to PostgreSQL
  }
  const general_names alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (one->type != GEN_DNS && one->type != GEN_EMAIL) continue;
    auto text = text_of(one->d.ia5);
    if (!text) return std::nullopt;
    names.alternative_names.push_back(std::move(*text));
  }
  return names;
}

// Asked of each certificate of a client's chain, whose own is at depth 0. What an authority has looked at in a name
// that holds a NUL is not what others read there.
int verify_names(int verified, X509_STORE_CTX* chain) {
  if (verified != 1 || X509_STORE_CTX_get_error_depth(chain) != 0) return verified;
  if (names_in(X509_STORE_CTX_get_current_cert(chain))) return 1;
  X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
  return 0;
}

int choose_alpn(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, alpn.data(), alpn.size(), offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// A resumed session has the certificate of the one before, which another door's authority, or none, has looked at.
void never_resume(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
}

// The keys of session tickets are the process's, not the context's, so that sessions can be resumed after a reload.
const std::array<unsigned char, 80>& ticket_keys() {
  static const auto keys = [] {
    std::array<unsigned char, 80> made{};
    if (RAND_bytes(made.data(), made.size()) != 1) throw std::bad_alloc();
    return made;
  }();
  return keys;
}

// A stream on a descriptor; the descriptor stays the caller's.
tls_stream stream_on(SSL_CTX* context, int descriptor) {
  tls_stream made(SSL_new(context));
  if (!made || SSL_set_fd(made.get(), descriptor) != 1) throw std::bad_alloc();
  return made;
}

}  // namespace

void ssl_free::operator()(ssl_st* stream) const { SSL_free(stream); }

// The first context is the default; a client that names a host gets the first whose certificate is for it.
struct door_tls::contexts {
  std::vector<std::shared_ptr<SSL_CTX>> all;

  static int choose(SSL* stream, int*, void* self) {
    const char* wanted = SSL_get_servername(stream, TLSEXT_NAMETYPE_host_name);
    if (wanted == nullptr) return SSL_TLSEXT_ERR_NOACK;
    for (const auto& context : static_cast<const contexts*>(self)->all) {
      if (X509_check_host(SSL_CTX_get0_certificate(context.get()), wanted, std::strlen(wanted), 0, nullptr) == 1) {
        SSL_set_SSL_CTX(stream, context.get());
        break;
      }
    }
    return SSL_TLSEXT_ERR_OK;
  }
};

std::expected<std::shared_ptr<const door_tls>, std::string> door_tls::load(const conf::listen_settings& door) {
  auto made = std::make_shared<contexts>();
  for (const conf::certificate_files& files : door.tls_certificates) {
    auto context = make_context(TLS_server_method());
    if (!context) return std::unexpected(context.error());
    SSL_CTX* raw = context->get();
    if (auto used = use_certificate(raw, files.certificate, files.key); !used) return std::unexpected(used.error());
    SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
    auto keys = ticket_keys();
    SSL_CTX_set_tlsext_ticket_keys(raw, keys.data(), static_cast<long>(keys.size()));
    SSL_CTX_set_alpn_select_cb(raw, choose_alpn, nullptr);
    SSL_CTX_set_tlsext_servername_callback(raw, contexts::choose);
    SSL_CTX_set_tlsext_servername_arg(raw, made.get());
    if (!door.tls_client_ca.empty()) {
      if (SSL_CTX_load_verify_file(raw, door.tls_client_ca.c_str()) != 1) {
        return failure("cannot use the clients' CA", door.tls_client_ca);
      }
      SSL_CTX_set_client_CA_list(raw, SSL_load_client_CA_file(door.tls_client_ca.c_str()));
      const bool demanded = door.tls == conf::listen_tls_mode::verify;
      SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), verify_names);
      SSL_CTX_set_verify_depth(raw, most_certificate_depth);
      never_resume(raw);
    }
    made->all.push_back(std::move(*context));
  }
  return std::shared_ptr<const door_tls>(new door_tls(std::move(made)));
}

tls_stream door_tls::accept_on(int descriptor) const {
  tls_stream made = stream_on(all_->all.front().get(), descriptor);
  SSL_set_accept_state(made.get());
  return made;
}

server_tls::server_tls(std::shared_ptr<SSL_CTX> context, routing::tls_mode mode)
    : context_(std::move(context)), mode_(mode) {}

std::expected<std::shared_ptr<const server_tls>, std::string> server_tls::load(const routing::server& server) {
  auto context = make_context(TLS_client_method());
  if (!context) return std::unexpected(context.error());
  SSL_CTX* raw = context->get();
  if (!server.tls_certificate.empty()) {
    auto used = use_certificate(raw, server.tls_certificate, server.tls_key);
    if (!used) return std::unexpected(used.error());
  }
  // That a CA is given says that it is to be looked at, as to libpq.
  const bool verified = server.tls == routing::tls_mode::verify_ca || server.tls == routing::tls_mode::verify_full ||
                        (server.tls == routing::tls_mode::require && !server.tls_ca.empty());
  if (verified) {
    const bool loaded = server.tls_ca.empty() ? SSL_CTX_set_default_verify_paths(raw) == 1
                                              : SSL_CTX_load_verify_file(raw, server.tls_ca.c_str()) == 1;
    if (!loaded) return failure("cannot use the CA", server.tls_ca);
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_verify_depth(raw, most_certificate_depth);
  }
  SSL_CTX_set_alpn_protos(raw, alpn.data(), alpn.size());
  return std::shared_ptr<const server_tls>(new server_tls(std::move(*context), server.tls));
}

tls_stream server_tls::connect_on(int descriptor, const std::string& host) const {
  tls_stream made = stream_on(context_.get(), descriptor);
  SSL_set_connect_state(made.get());
  const bool by_address = is_address(host);
  if (!by_address) SSL_set_tlsext_host_name(made.get(), host.c_str());
  if (mode_ == routing::tls_mode::verify_full) {
    X509_VERIFY_PARAM* rules = SSL_get0_param(made.get());
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = by_address ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str())
                               : X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size());
    if (set != 1) throw std::bad_alloc();
  }
  return made;
}

std::optional<certificate_names> client_certificate(const tls_stream& stream) {
  const x509 certificate(SSL_get1_peer_certificate(stream.get()));
  if (!certificate || SSL_get_verify_result(stream.get()) != X509_V_OK) return std::nullopt;
  return names_in(certificate.get());
}

std::string server_name_indication(const tls_stream& stream) {
  const char* name = SSL_get_servername(stream.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

bool speaks_postgresql(const tls_stream& stream) {
  const unsigned char* chosen = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(stream.get(), &chosen, &size);
  return size == alpn.size() - 1 && std::memcmp(chosen, alpn.data() + 1, size) == 0;
}

std::string server_end_point(const tls_stream& stream) {
  const bool is_server = SSL_is_server(stream.get()) == 1;
  const x509 peer(is_server ? nullptr : SSL_get1_peer_certificate(stream.get()));
  const X509* certificate = is_server ? SSL_get_certificate(stream.get()) : peer.get();
  int digest = NID_undef;
  if (certificate == nullptr || OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, nullptr) != 1) {
    return {};
  }
  // MD5 and SHA-1 are replaced by SHA-256 (RFC 5929, 4.1).
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  const EVP_MD* algorithm = EVP_get_digestbynid(digest);
  if (algorithm == nullptr) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  if (X509_digest(certificate, algorithm, hash.data(), &size) != 1) return {};
  return {reinterpret_cast<const char*>(hash.data()), size};
}

std::string tls_failure(const tls_stream& stream) {
  std::string words = library_words();
  const long verdict = SSL_get_verify_result(stream.get());
  if (verdict != X509_V_OK) words += std::string(" (") + X509_verify_cert_error_string(verdict) + ")";
  return words;
}

std::string describe(const tls_stream& stream) {
  const char* cipher = ::SSL_get_cipher_name(stream.get());
  return std::string(::SSL_get_version(stream.get())) + "/" + (cipher != nullptr ? cipher : "none");
}

}  // namespace proxy
