// The Asio types this daemon is written in, in one place.
//
// Everything uses the concrete executor of io_context: the type-erased any_io_executor doubles the price of a
// post, and its teardown on another thread confuses ThreadSanitizer. Operations are awaited as
// `as_tuple(deferred)`: no exception for an expected error, and no coroutine frame per operation.
//
// g++ 12 destroys an aggregate or capturing-lambda temporary twice when it stands in the same full expression as
// co_await: name it first, always.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace proxy {

namespace asio = boost::asio;
using boost::system::error_code;

using executor = asio::io_context::executor_type;
template <class T>
using task = asio::awaitable<T, executor>;

/// TCP and Unix sockets are the same thing from here on.
using endpoint = asio::generic::stream_protocol::endpoint;

using clock = std::chrono::steady_clock;
using timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, executor>;

inline constexpr auto no_throw = asio::as_tuple(asio::deferred);

}  // namespace proxy
