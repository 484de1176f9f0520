#include "proxy/auth/auth_channel.hpp"

#include <array>

#include "protocol/byte_reader.hpp"
#include "protocol/message_type.hpp"

namespace proxy {
namespace {

constexpr std::uint32_t least_length = 4;

std::unexpected<auth_fault> wrong(pgwire::errc code) {
  auth_fault fault;
  fault.code = code;
  return std::unexpected(fault);
}

std::unexpected<auth_fault> gone() {
  auth_fault fault;
  fault.is_gone = true;
  return std::unexpected(fault);
}

}  // namespace

task<bool> auth_channel::send(std::string_view message) { co_return co_await client_.write_all(as_bytes(message)); }

task<std::expected<pgwire::secret_string, auth_fault>> auth_channel::answer(std::size_t most) {
  std::array<std::byte, pgwire::message_header_bytes> header{};
  const auto type = std::span(header).first<1>();
  if (!co_await fill(type)) co_return gone();
  if (static_cast<char>(header[0]) != pgwire::frontend_type::authentication) {
    co_return wrong(pgwire::errc::misplaced_message);
  }
  const auto length_field = std::span(header).subspan<1>();
  if (!co_await fill(length_field)) co_return gone();
  const std::uint32_t length = pgwire::load_u32(length_field.data());
  if (length < least_length || length - least_length > most) co_return wrong(pgwire::errc::bad_length);

  pgwire::secret_string body(static_cast<std::size_t>(length - least_length));
  const auto bytes = std::as_writable_bytes(body.writable());
  if (!co_await fill(bytes)) co_return gone();
  co_return body;
}

task<bool> auth_channel::fill(std::span<std::byte> wanted) {
  while (!wanted.empty()) {
    const io_result read = client_.read_some(wanted);
    wanted = wanted.subspan(read.bytes);
    if (read.status == io_status::end || read.status == io_status::failed) co_return false;
    if (read.status == io_status::would_block) {
      auto [error] = co_await client_.wait_readable();
      if (error) co_return false;
    }
  }
  co_return true;
}

}  // namespace proxy
