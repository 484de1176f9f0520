#include "proxy/session/message_reader.hpp"

#include "protocol/message_type.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

std::uint32_t length_field(std::string_view header) {
  std::uint32_t length = 0;
  for (const char byte : header.substr(1, 4)) length = length << 8 | static_cast<unsigned char>(byte);
  return length;
}

}  // namespace

task<std::expected<raw_message, read_failure>> message_reader::next() {
  buffer_.erase(0, used_);
  used_ = 0;
  for (;;) {
    if (buffer_.size() >= pgwire::message_header_bytes) {
      const std::uint32_t length = length_field(buffer_);
      if (length < 4 || length > limit_) co_return std::unexpected(read_failure::malformed);
      const std::size_t whole = std::size_t{length} + 1;
      if (buffer_.size() >= whole) {
        used_ = whole;
        const std::string_view wire = std::string_view(buffer_).substr(0, whole);
        co_return raw_message{wire.front(), as_bytes(wire.substr(pgwire::message_header_bytes)), wire};
      }
    }
    const auto scratch = home_.scratch();
    const io_result read = source_.read_some(scratch);
    switch (read.status) {
      case io_status::done: buffer_.append(reinterpret_cast<const char*>(scratch.data()), read.bytes); break;
      case io_status::end: co_return std::unexpected(read_failure::end);
      case io_status::failed: co_return std::unexpected(read_failure::broken);
      case io_status::would_block: {
        auto [error] = co_await source_.wait_readable();
        if (error) co_return std::unexpected(read_failure::broken);
      }
    }
  }
}

std::string message_reader::rest() {
  buffer_.erase(0, used_);
  used_ = 0;
  return std::move(buffer_);
}

}  // namespace proxy
