#include "protocol/scram_messages.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "protocol/base64.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/scram_keys.hpp"

namespace pgwire {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_nonce_char(char c) { return c >= 0x21 && c <= 0x7e && c != ','; }
bool is_binding_type_char(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; }

// Reads `x=value,y=value`. As in byte_reader the first error sticks, and from then on values are empty.
class attribute_reader {
 public:
  attribute_reader(std::string_view text, std::size_t most_bytes) : text_(text) {
    if (text.empty() || text.size() > most_bytes || text.contains('\0')) fail(errc::malformed_scram);
  }

  // The value of the next attribute, which must be this one.
  std::string_view value(char name) { return next_name() == name ? next() : misfit(); }

  // Passes over extensions, up to the attribute `last` if it is given, else to the end.
  void skip_extensions(char last = '\0') {
    while (more_ && next_name() != last) {
      if (!is_letter(next_name()) || next().empty()) fail(errc::malformed_scram);
    }
  }

  // Where the next attribute begins.
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] char next_name() const { return more_ && position_ < text_.size() ? text_[position_] : '\0'; }

  void fail(errc code) {
    if (!error_) error_ = code;
    more_ = false;
  }

  template <class Message>
  [[nodiscard]] result<Message> finish(Message message) const {
    if (error_) return std::unexpected(*error_);
    if (more_) return std::unexpected(errc::malformed_scram);
    return message;
  }

 private:
  std::string_view misfit() {
    fail(errc::malformed_scram);
    return {};
  }

  // One attribute and the comma behind it; a comma says that there is another attribute.
  std::string_view next() {
    auto attribute = text_.substr(position_, text_.find(',', position_) - position_);
    if (attribute.size() < 2 || attribute[1] != '=') return misfit();
    if (attribute[0] == 'm') {
      fail(errc::scram_extension);
      return {};
    }
    position_ += attribute.size();
    more_ = position_ < text_.size();
    if (more_) ++position_;
    return attribute.substr(2);
  }

  std::string_view text_;
  std::size_t position_ = 0;
  bool more_ = true;
  std::optional<errc> error_;
};

std::string_view read_nonce(attribute_reader& in, std::size_t most) {
  const auto nonce = in.value('r');
  if (!is_scram_nonce(nonce, most)) in.fail(errc::malformed_scram);
  return nonce;
}

secret_key read_key(attribute_reader& in, char name) {
  secret_key key;
  if (base64_decode(in.value(name), key.writable()) != secret_key::size) in.fail(errc::malformed_scram);
  return key;
}

// posit-number: digits, the first no zero. One that does not fit is out of range like any other.
std::uint32_t read_iterations(attribute_reader& in) {
  const auto digits = in.value('i');
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos ||
      (digits[0] == '0' && digits.size() > 1)) {
    in.fail(errc::malformed_scram);
    return 0;
  }
  std::uint32_t number = 0;
  const auto outcome = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (outcome.ec != std::errc() || number < 1 || number > most_scram_iterations) in.fail(errc::scram_iterations);
  return number;
}

// Where the gs2 header ends; what it says goes into `message`. gs2-cbind-flag "," [authzid] ","
result<std::size_t> read_header(std::string_view text, scram_client_first& message) {
  const auto flag_end = text.find(',');
  if (flag_end == std::string_view::npos) return std::unexpected(errc::malformed_scram);
  const auto flag = text.substr(0, flag_end);
  if (flag == "n" || flag == "y") {
    message.binding = static_cast<scram_binding>(flag[0]);
  } else if (flag.starts_with("p=") && flag.size() > 2 && std::ranges::all_of(flag.substr(2), is_binding_type_char)) {
    message.binding = scram_binding::bound;
    message.binding_type = flag.substr(2);
  } else {
    return std::unexpected(errc::malformed_scram);
  }
  const auto rest = text.substr(flag_end + 1);
  if (rest.starts_with("a=")) return std::unexpected(errc::scram_authzid);
  if (!rest.starts_with(',')) return std::unexpected(errc::malformed_scram);
  return flag_end + 2;
}

}  // namespace

bool is_scram_nonce(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, is_nonce_char);
}

result<scram_client_first> scram_client_first::decode(std::string_view text) {
  if (text.size() > most_scram_client_message) return std::unexpected(errc::malformed_scram);
  scram_client_first outer;
  const auto header_size = read_header(text, outer);
  if (!header_size) return std::unexpected(header_size.error());
  auto message = decode_bare(text.substr(*header_size));
  if (message) {
    message->binding = outer.binding;
    message->binding_type = outer.binding_type;
    message->header = text.substr(0, *header_size);
  }
  return message;
}

result<scram_client_first> scram_client_first::decode_bare(std::string_view text) {
  attribute_reader in(text, most_scram_client_message);
  scram_client_first message;
  message.bare = text;
  if (in.next_name() == 'm') in.fail(errc::scram_extension);
  message.user = in.value('n');
  message.nonce = read_nonce(in, most_scram_client_nonce);
  in.skip_extensions();
  return in.finish(message);
}

std::string scram_client_first::encode_header() const {
  std::string text(1, static_cast<char>(binding));
  if (binding == scram_binding::bound) text.append("=").append(binding_type);
  return text.append(",,");
}

std::string scram_client_first::encode_bare() const {
  return std::string("n=").append(user).append(",r=").append(nonce);
}

result<scram_server_first> scram_server_first::decode(std::string_view text) {
  attribute_reader in(text, most_scram_server_message);
  scram_server_first message;
  if (in.next_name() == 'm') in.fail(errc::scram_extension);
  message.nonce = read_nonce(in, most_scram_nonce);
  message.salt_base64 = in.value('s');
  std::array<std::byte, most_scram_salt_bytes> salt;
  if (base64_decode(message.salt_base64, salt).value_or(0) == 0) in.fail(errc::malformed_scram);
  message.iterations = read_iterations(in);
  in.skip_extensions();
  return in.finish(message);
}

std::string scram_server_first::encode() const {
  std::string text("r=");
  text.append(nonce).append(",s=").append(salt_base64).append(",i=");
  return text.append(std::to_string(iterations));
}

result<scram_client_final> scram_client_final::decode(std::string_view text) {
  attribute_reader in(text, most_scram_client_message);
  scram_client_final message;
  message.binding_base64 = in.value('c');
  message.nonce = read_nonce(in, most_scram_nonce);
  in.skip_extensions('p');
  // There is a comma before it, as it is not the first.
  message.without_proof = text.substr(0, in.position() - (in.next_name() == 'p' ? 1 : 0));
  message.proof = read_key(in, 'p');
  return in.finish(std::move(message));
}

std::string scram_client_final::encode_without_proof() const {
  return std::string("c=").append(binding_base64).append(",r=").append(nonce);
}

std::string scram_client_final::encode() const {
  return encode_without_proof().append(",p=").append(base64_encode(proof.bytes()));
}

result<scram_server_final> scram_server_final::decode(std::string_view text) {
  attribute_reader in(text, most_scram_server_message);
  scram_server_final message;
  if (in.next_name() == 'e') {
    message.error = in.value('e');
    if (message.error.empty()) in.fail(errc::malformed_scram);
  } else {
    message.signature = read_key(in, 'v');
  }
  in.skip_extensions();
  return in.finish(std::move(message));
}

std::string scram_server_final::encode() const {
  if (!error.empty()) return std::string("e=").append(error);
  return "v=" + base64_encode(signature.bytes());
}

}  // namespace pgwire
