// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_parser.h"

// One of the assertions is wrong of a last chunk that comes in small pieces.
#define BOOST_DISABLE_ASSERTS
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/text.h"

namespace engram {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using BeastText = boost::beast::string_view;

/// Of the framing of a body in chunks: sizes with their extensions, and trailers.
constexpr std::size_t kMostFramingBytes = HttpParser::kMostHeadBytes;

std::string_view view_of(BeastText text) noexcept {
  return {text.data(), text.size()};
}

bool is_identity(std::string_view coding) {
  return coding.empty() || equal_ignoring_case(coding, "identity");
}

HttpRefusal refusal_of(const error_code& error, std::size_t most_body_bytes) {
  if (error == http::error::header_limit) {
    return {431, "the request's line and header fields exceed " +
                     std::to_string(HttpParser::kMostHeadBytes) + " bytes"};
  }
  if (error == http::error::body_limit) {
    return {413, "the body exceeds http-max-body, " + std::to_string(most_body_bytes) + " bytes"};
  }
  if (error == http::error::bad_content_length || error == http::error::bad_transfer_encoding) {
    return {400, "Content-Length and Transfer-Encoding are malformed, or contradict each other"};
  }
  if (error == http::error::bad_version) {
    return {400, "the request's line must end in HTTP/1.1 or HTTP/1.0"};
  }
  return {400, "the request is no HTTP: " + error.message()};
}

}  // namespace

std::string_view HttpRequest::field(std::string_view name) const noexcept {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const auto& field) { return field.first == name; });
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view HttpRequest::media_type() const noexcept {
  const std::string_view type = field("content-type");
  return type.substr(0, std::min(type.find_first_of("; \t"), type.size()));
}

/// A request on its way, as Beast's parser tells of it.
class HttpParser::Message final : public http::basic_parser<true> {
 public:
  explicit Message(std::size_t most_body_bytes) : most_body_bytes_(most_body_bytes) {
    header_limit(static_cast<std::uint32_t>(kMostHeadBytes));
    body_limit(most_body_bytes);
  }

  Progress go_on(std::string_view bytes) {
    std::size_t consumed = 0;
    while (!refusal_ && !is_done() && consumed < bytes.size()) {
      const bool had_head = is_header_done();
      const std::string_view rest = bytes.substr(consumed);
      error_code error;
      eager(had_head);
      const std::size_t taken = put(boost::asio::const_buffer(rest.data(), rest.size()), error);
      consumed += taken;
      if (error == http::error::need_more) {
        check_framing(rest.size() - taken);
        break;
      }
      if (error && !refusal_) refusal_ = refusal_of(error, most_body_bytes_);
      if (!had_head && is_header_done()) break;
    }
    return {outcome(), consumed};
  }

  Outcome outcome() {
    if (refusal_) return Outcome::kRefused;
    if (is_header_done() && !std::exchange(has_told_head_, true)) return Outcome::kHead;
    return is_done() ? Outcome::kRequest : Outcome::kIncomplete;
  }

  [[nodiscard]] std::size_t bytes_missing() const {
    if (!is_header_done() || is_done() || chunked()) return 0;
    return static_cast<std::size_t>(content_length_remaining().value_or(0));
  }

  HttpRequest request_ = {};
  std::optional<HttpRefusal> refusal_ = {};

 private:
  void on_request_impl(http::verb, BeastText method, BeastText target, int version,
                       error_code& error) override {
    request_.method = view_of(method);
    request_.target = view_of(target);
    request_.is_http_1_1 = version == 11;
    count_head(method.size() + target.size(), error);
  }

  void on_response_impl(int, BeastText, int, error_code&) override {}

  /// Of trailers, too, which mean nothing here.
  void on_field_impl(http::field, BeastText name, BeastText value, error_code& error) override {
    count_head(name.size() + value.size() + 4, error);
    if (error || is_header_done()) return;
    request_.fields.emplace_back(to_lower(view_of(name)), view_of(value));
  }

  void on_header_impl(error_code& error) override {
    request_.keeps_alive = keep_alive();
    request_.has_body = chunked() || content_length().value_or(0) > 0;
    refusal_ = why_refused();
    if (refusal_) error = http::error::bad_value;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

  std::size_t on_body_impl(BeastText body, error_code&) override {
    request_.body.append(body.data(), body.size());
    return body.size();
  }

  void on_chunk_header_impl(std::uint64_t, BeastText extensions, error_code& error) override {
    count_head(extensions.size(), error);
  }

  std::size_t on_chunk_body_impl(std::uint64_t, BeastText body, error_code&) override {
    request_.body.append(body.data(), body.size());
    return body.size();
  }

  void on_finish_impl(error_code&) override {}

  void count_head(std::size_t bytes, error_code& error) {
    head_bytes_ += bytes;
    if (head_bytes_ > kMostHeadBytes) error = http::error::header_limit;
  }

  /// Beast waits for the end of a chunk's line, and of trailers, however long they are.
  void check_framing(std::size_t waiting) {
    if (is_header_done() && waiting > kMostFramingBytes) {
      refusal_ = HttpRefusal{400, "the line of a chunk, or the trailers, are too long"};
    }
  }

  [[nodiscard]] std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(request_.fields.begin(), request_.fields.end(),
                      [&](const auto& field) { return field.first == name; }));
  }

  /// What the head says that this server does not take, or that others may understand otherwise.
  [[nodiscard]] std::optional<HttpRefusal> why_refused() const {
    const std::string_view transfer = request_.field("transfer-encoding");
    if (!transfer.empty() && !request_.is_http_1_1) {
      return HttpRefusal{400, "HTTP/1.0 has no Transfer-Encoding"};
    }
    if (!transfer.empty() && !equal_ignoring_case(transfer, "chunked")) {
      return chunked() || transfer.find("chunked") == std::string_view::npos
                 ? HttpRefusal{415, "Transfer-Encoding must be chunked, bodies are not compressed"}
                 : HttpRefusal{400, "Transfer-Encoding must end with chunked"};
    }
    if (count("transfer-encoding") > 1 || count("content-length") > 1) {
      return HttpRefusal{400, "Content-Length or Transfer-Encoding is there twice"};
    }
    if (count("transfer-encoding") == 1 && !chunked()) {
      return HttpRefusal{400, "Transfer-Encoding must be chunked"};
    }
    if (!is_identity(request_.field("content-encoding"))) {
      return HttpRefusal{415, "Content-Encoding must be identity, bodies are not compressed"};
    }
    if (count("host") > 1 || (request_.is_http_1_1 && count("host") == 0)) {
      return HttpRefusal{400, "an HTTP/1.1 request has one Host field"};
    }
    return std::nullopt;
  }

  const std::size_t most_body_bytes_;
  std::size_t head_bytes_ = 0;
  bool has_told_head_ = false;
};

HttpParser::HttpParser() = default;

HttpParser::~HttpParser() = default;

HttpParser::Progress HttpParser::parse(std::string_view bytes, std::size_t most_body_bytes) {
  std::size_t blank = 0;
  if (message_ == nullptr) {
    // A line end or two after the body of the request before, as some clients send.
    while (blank < bytes.size() && (bytes[blank] == '\r' || bytes[blank] == '\n')) ++blank;
    if (blank == bytes.size()) return {Outcome::kIncomplete, blank};
    message_ = std::make_unique<Message>(most_body_bytes);
  }
  Progress progress = message_->go_on(bytes.substr(blank));
  progress.consumed += blank;
  return progress;
}

const HttpRequest& HttpParser::request() const noexcept {
  return message_->request_;
}

const HttpRefusal& HttpParser::refusal() const noexcept {
  return *message_->refusal_;
}

bool HttpParser::is_amid() const noexcept {
  return message_ != nullptr;
}

std::size_t HttpParser::bytes_missing() const noexcept {
  return message_ == nullptr ? 0 : message_->bytes_missing();
}

void HttpParser::begin_next() {
  message_.reset();
}

}  // namespace engram
