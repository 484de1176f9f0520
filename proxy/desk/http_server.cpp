#include "proxy/desk/http_server.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/http/span_body.hpp>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "conf/names.hpp"
#include "proxy/desk/log_line.hpp"
#include "proxy/io.hpp"
#include "proxy/thread_name.hpp"

namespace proxy::desk {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;
using socket = asio::basic_stream_socket<tcp, executor>;
using parser = http::request_parser<http::empty_body>;
using response = http::response<http::span_body<const char>>;

// For a request to arrive, and again for its answer to be taken. A connection may be silent for as long in between.
constexpr std::chrono::seconds request_time{5};

// Out of descriptors: how long nobody is let in.
constexpr std::chrono::milliseconds shut_for{100};

// What is read and thrown away of a client that still sends when it is told that it must not.
constexpr std::size_t most_ignored = std::size_t{256} * 1024;

// Of 0 to 19, as nice(1): behind the workers.
constexpr int niceness = 10;

constexpr std::string_view plain_text = "text/plain; charset=utf-8";

http_answer in_words(http::status status) {
  return {static_cast<unsigned>(status), plain_text,
          std::make_shared<const std::string>(std::string(http::obsolete_reason(status)) + "\n")};
}

bool is_too_large(const error_code& failed) {
  return failed == http::error::header_limit || failed == http::error::buffer_overflow;
}

// What a request must be whatever it asks for.
std::optional<http::status> fault_of(const parser& read) {
  const auto& request = read.get();
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return http::status::method_not_allowed;
  }
  if (!read.is_done()) return http::status::payload_too_large;
  if (!request.target().starts_with('/')) return http::status::bad_request;
  return std::nullopt;
}

}  // namespace

class http_server::impl {
 public:
  explicit impl(answerer answer) : answer_(std::move(answer)) {}
  ~impl() { stop(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  std::expected<void, std::string> listen(const std::string& where, inherited_sockets& inherited);
  void start();
  void post(std::function<void()> work) { asio::post(context_, std::move(work)); }
  void stop();
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  // In the list as long as it counts. Its coroutine owns it.
  struct connection {
    connection(std::list<connection*>& all, socket&& taken) : in(all), stream(std::move(taken)) {
      place = in.insert(in.end(), this);
    }
    ~connection() { leave(); }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    void leave() {
      if (std::exchange(counts, false)) in.erase(place);
    }
    /// Whoever was heard of last stands last.
    void heard() {
      if (counts) in.splice(in.end(), in, place);
    }

    std::list<connection*>& in;
    std::list<connection*>::iterator place;
    bool counts = true;
    bool answering = false;
    beast::basic_stream<tcp, executor> stream;
    beast::flat_static_buffer<2 * longest_head> received;
  };

  task<void> accept_loop(acceptor& door);
  void admit(socket&& who);
  void make_room();
  static task<void> converse(impl& self, std::shared_ptr<connection> with);
  static task<bool> send(connection& to, const parser& asked, http_answer what, bool keep);
  static task<void> hang_up(connection& on);
  http_answer answer_to(const parser& read);

  answerer answer_;
  std::list<connection*> connections_;
  // Connections that are still there when the loop is destroyed end with it, and leave the list above.
  asio::io_context context_{1};
  asio::executor_work_guard<executor> work_{context_.get_executor()};
  std::list<acceptor> doors_;
  std::vector<int> descriptors_;  ///< theirs
  std::string name_;
  std::thread thread_;
};

std::expected<void, std::string> http_server::impl::listen(const std::string& where, inherited_sockets& inherited) {
  const auto address = conf::parse_address(where);
  if (!address || !address->port) return std::unexpected("cannot listen on " + where + ": not host:port");
  auto sockets = listen_tcp(inherited, address->host, *address->port);
  if (!sockets) return std::unexpected(sockets.error() + " (it is for HTTP: admin.http)");
  for (listening_socket& one : *sockets) {
    name_ += (name_.empty() ? "" : ", ") + one.name;
    descriptors_.push_back(one.descriptor.get());
    doors_.emplace_back(context_, one.name.starts_with('[') ? tcp::v6() : tcp::v4(), one.descriptor.release());
  }
  return {};
}

void http_server::impl::start() {
  thread_ = std::thread([this] {
    name_this_thread("desk");
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
    for (acceptor& door : doors_) asio::co_spawn(context_, accept_loop(door), asio::detached);
    context_.run();
  });
}

void http_server::impl::stop() {
  if (!thread_.joinable()) return;
  context_.stop();
  thread_.join();
}

task<void> http_server::impl::accept_loop(acceptor& door) {
  timer pause(context_);
  for (;;) {
    auto [failed, who] = co_await door.async_accept(no_throw);
    if (!failed) {
      admit(std::move(who));
      continue;
    }
    pause.expires_after(shut_for);
    auto [closed] = co_await pause.async_wait(no_throw);
    if (closed) co_return;
  }
}

void http_server::impl::admit(socket&& who) {
  if (connections_.size() >= most_connections) make_room();
  auto made = std::make_shared<connection>(connections_, std::move(who));
  asio::co_spawn(context_, converse(*this, std::move(made)), asio::detached);
}

void http_server::impl::make_room() {
  auto gives_way = std::ranges::find_if(connections_, [](const connection* one) { return !one->answering; });
  if (gives_way == connections_.end()) gives_way = connections_.begin();
  connection& one = **gives_way;
  one.leave();
  one.stream.close();
}

task<void> http_server::impl::converse(impl& self, std::shared_ptr<connection> with) {
  for (bool more = true; more;) {
    parser read;
    read.header_limit(longest_head);
    with->stream.expires_after(request_time);
    auto [failed, bytes] = co_await http::async_read_header(with->stream, with->received, read, no_throw);
    // Gone, too slow, or had to give way. Everything else that can go wrong is what the client has sent.
    const bool is_fault = failed && failed.category() == make_error_code(http::error::bad_method).category();
    if ((failed && !is_fault) || failed == http::error::end_of_stream) co_return;
    with->heard();
    with->answering = true;
    const auto fault = is_fault ? std::nullopt : fault_of(read);
    more = !is_fault && !fault && read.get().keep_alive();
    http_answer what;
    if (is_fault) {
      what = in_words(is_too_large(failed) ? http::status::request_header_fields_too_large : http::status::bad_request);
    } else {
      what = fault ? in_words(*fault) : self.answer_to(read);
    }
    const bool sent = co_await send(*with, read, std::move(what), more);
    if (!sent) co_return;
    with->answering = false;
  }
  co_await hang_up(*with);
}

http_answer http_server::impl::answer_to(const parser& read) {
  const auto target = read.get().target();
  const std::string_view path(target.data(), target.size());
  try {
    return answer_(path.substr(0, path.find('?')));
  } catch (const std::exception& error) {
    say_bounded(spdlog::level::err, "no answer to an HTTP request: {}", error.what());
    return in_words(http::status::internal_server_error);
  }
}

task<bool> http_server::impl::send(connection& to, const parser& asked, http_answer what, bool keep) {
  response message(http::int_to_status(what.status), 11);
  message.set(http::field::content_type, boost::string_view(what.content_type.data(), what.content_type.size()));
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  if (message.result() == http::status::method_not_allowed) message.set(http::field::allow, "GET, HEAD");
  message.keep_alive(keep);
  message.content_length(what.body->size());
  if (asked.get().method() != http::verb::head) message.body() = {what.body->data(), what.body->size()};
  to.stream.expires_after(request_time);
  auto [failed, bytes] = co_await http::async_write(to.stream, message, no_throw);
  co_return !failed;
}

// A connection that is closed with bytes unread is reset, and the client may lose the answer by it (RFC 9112, 9.6).
task<void> http_server::impl::hang_up(connection& on) {
  error_code failed;
  on.stream.socket().shutdown(tcp::socket::shutdown_send, failed);
  on.stream.expires_after(request_time);
  for (std::size_t ignored = 0; !failed && ignored < most_ignored;) {
    on.received.clear();
    auto [error, bytes] = co_await on.stream.async_read_some(on.received.prepare(longest_head), no_throw);
    failed = error;
    ignored += bytes;
  }
}

std::expected<std::unique_ptr<http_server>, std::string> http_server::open(const std::string& where,
                                                                           inherited_sockets& inherited,
                                                                           answerer answer) {
  auto made = std::make_unique<impl>(std::move(answer));
  if (auto listening = made->listen(where, inherited); !listening) return std::unexpected(std::move(listening.error()));
  return std::unique_ptr<http_server>(new http_server(std::move(made)));
}

http_server::http_server(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
http_server::~http_server() = default;
void http_server::start() { impl_->start(); }
void http_server::post(std::function<void()> work) { impl_->post(std::move(work)); }
void http_server::stop() { impl_->stop(); }
std::string http_server::name() const { return impl_->name(); }
std::vector<int> http_server::descriptors() const { return impl_->descriptors(); }

}  // namespace proxy::desk
