// SPDX-License-Identifier: Apache-2.0
// A blocking client for tests: it sends bytes and reads replies, and knows just enough of RESP to
// see where one ends.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "server/net/unique_fd.h"

namespace engram::test {

/// A request as an array of bulks.
inline std::string request(std::initializer_list<std::string_view> words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    bytes.append("$").append(std::to_string(word.size())).append("\r\n");
    bytes.append(word).append("\r\n");
  }
  return bytes;
}

inline std::string request_of(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

class RespClient {
 public:
  explicit RespClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // A server that does not answer fails the test instead of hanging it.
    const timeval limit = {.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Returns how many bytes the server took before it closed.
  std::size_t send(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t taken =
          ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (taken <= 0) break;
      sent += static_cast<std::size_t>(taken);
    }
    return sent;
  }

  /// The bytes of the next reply, whole; empty if the connection has ended.
  std::string reply() {
    std::string out;
    for (std::size_t left = 1; left != 0; --left) {
      const std::string head = line();
      if (head.empty()) return {};
      out += head;
      const std::size_t count = number(head);
      if (head[0] == '*' || head[0] == '~' || head[0] == '>') left += count;
      if (head[0] == '%') left += 2 * count;
      if ((head[0] == '$' || head[0] == '=') && head[1] != '-') {
        if (!fill(count + 2)) return {};
        out += buffer_.substr(0, count + 2);
        buffer_.erase(0, count + 2);
      }
    }
    return out;
  }

  std::string ask(std::initializer_list<std::string_view> words) {
    send(request(words));
    return reply();
  }

  /// True once the server has closed the connection.
  bool closed() {
    while (more()) {
    }
    return true;
  }

  /// Everything until the server closes.
  std::string rest() {
    closed();
    return std::exchange(buffer_, {});
  }

 private:
  static std::size_t number(std::string_view head) {
    std::size_t value = 0;
    std::from_chars(head.data() + 1, head.data() + head.size(), value);
    return value;
  }

  std::string line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      if (!more()) return {};
    }
    std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 2);
    return head;
  }

  bool fill(std::size_t bytes) {
    while (buffer_.size() < bytes) {
      if (!more()) return false;
    }
    return true;
  }

  bool more() {
    std::array<char, 65536> chunk;
    const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      FAIL("the server neither answered nor closed within a minute");
    }
    if (got <= 0) return false;
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }

  UniqueFd fd_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace engram::test
