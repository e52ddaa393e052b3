// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_response.h"

#include <array>
#include <ctime>

#include "server/json/json_writer.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

constexpr std::size_t kLargeBodyBytes = 64UL * 1024;  // is not copied behind its head

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

/// The one place where an Error becomes a status.
int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kWrongType:
      return 409;
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kResourceExhausted:
      return 429;
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnavailable:
    case ErrorCode::kNotWritable:
      return 503;
    case ErrorCode::kDataLoss:
    case ErrorCode::kIo:
      break;
  }
  return 500;
}

/// The time, as HTTP writes it; made anew once a second.
std::string_view date() {
  static thread_local std::time_t written = -1;
  static thread_local std::array<char, 32> text;
  static thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != written) {
    std::tm parts = {};
    ::gmtime_r(&now, &parts);
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    written = now;
  }
  return {text.data(), size};
}

}  // namespace

HttpResponse error_response(int status, std::string_view sentence) {
  HttpResponse response = {.status = status};
  JsonWriter json(response.body);
  json.begin_object();
  json.name("error").string(sentence);
  json.end_object();
  if (status == 503 || status == 429) response.fields = "Retry-After: 1\r\n";
  if (status == 401) response.fields = "WWW-Authenticate: Bearer\r\n";
  return response;
}

HttpResponse error_response(const Error& error) {
  return error_response(status_of(error.code), error.message);
}

HttpResponse error_response(const HttpRefusal& refusal) {
  HttpResponse response = error_response(refusal.status, refusal.message);
  if (!refusal.allow.empty()) response.fields += "Allow: " + refusal.allow + "\r\n";
  return response;
}

std::string head_of(const HttpResponse& response, const HttpEnvelope& envelope) {
  constexpr std::size_t kUsualBytes = 256;
  const bool has_content = response.status != 204 && response.status != 304;
  std::string head;
  head.reserve(kUsualBytes + response.fields.size() +
               (response.body.size() < kLargeBodyBytes ? response.body.size() : 0));
  head += "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += reason_of(response.status);
  head += "\r\nServer: engram/";
  head += kVersion;
  head += "\r\nDate: ";
  head += date();
  if (has_content) {
    head += "\r\nContent-Type: ";
    head += response.content_type;
    head += "\r\nContent-Length: ";
    head += std::to_string(response.body.size());
  }
  if (!envelope.request_id.empty()) {
    head += "\r\nX-Request-Id: ";
    head += envelope.request_id;
  }
  if (!envelope.keeps_alive) {
    head += "\r\nConnection: close";
  } else if (!envelope.is_http_1_1) {
    head += "\r\nConnection: keep-alive";
  }
  head += "\r\n";
  head += response.fields;
  head += "\r\n";
  return head;
}

std::string unasked_response(int status, std::string_view sentence) {
  const HttpResponse response = error_response(status, sentence);
  return head_of(response, {.keeps_alive = false}) + response.body;
}

void HttpReply::send(HttpResponse response) {
  is_kept_ = true;
  std::string bytes = head_of(response, envelope_);
  if (envelope_.is_head) response.body.clear();
  if (response.body.size() < kLargeBodyBytes) {
    bytes += response.body;
    return place_.reply_rendered(std::move(bytes));
  }
  place_.give_part(std::move(bytes));
  place_.reply_rendered(std::move(response.body));
}

}  // namespace engram
