// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/place.h"

#include <utility>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kScheme = "redis://";

Result<int> port_of(std::string_view text) {
  const auto port = parse_number<int>(text);
  if (port && *port >= 1 && *port <= 65'535) return *port;
  return fail(ErrorCode::kInvalidArgument,
              "a port is a number in 1..65535, got '" + std::string(text) + "'");
}

/// %41 is A: what a password has that a URL may not.
Result<std::string> unescaped_part(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || end != digits.data() + 2) {
      return fail(ErrorCode::kInvalidArgument, "a URL has two hexadecimal digits behind each %");
    }
    plain += static_cast<char>(value);
    i += 2;
  }
  return plain;
}

Status read_login(std::string_view login, ServerAddress& address) {
  const std::size_t colon = login.find(':');
  if (colon == std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "the password of a URL stands behind a colon");
  }
  auto user = unescaped_part(login.substr(0, colon));
  if (!user) return tl::unexpected(std::move(user.error()));
  auto password = unescaped_part(login.substr(colon + 1));
  if (!password) return tl::unexpected(std::move(password.error()));
  address.user = std::move(*user);
  address.password = std::move(*password);
  return {};
}

}  // namespace

Result<ServerAddress> parse_url(std::string_view url) {
  if (!url.starts_with(kScheme)) {
    return fail(ErrorCode::kInvalidArgument,
                "the URL of a server is redis://[[user]:password@]host[:port]");
  }
  std::string_view rest = url.substr(kScheme.size());
  ServerAddress address;
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    ENGRAM_TRY(read_login(rest.substr(0, at), address));
    rest.remove_prefix(at + 1);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const bool is_bracketed = rest.starts_with('[');  // IPv6, which has colons
  const std::size_t end = is_bracketed ? rest.find(']') : rest.find(':');
  const std::string_view host = rest.substr(is_bracketed ? 1 : 0, is_bracketed ? end - 1 : end);
  std::string_view port = end == std::string_view::npos ? "" : rest.substr(end);
  if (is_bracketed && !port.empty()) port.remove_prefix(1);
  if (host.empty() || host.find('/') != std::string_view::npos ||
      (is_bracketed && end == std::string_view::npos)) {
    return fail(ErrorCode::kInvalidArgument, "a URL names a host, and neither path nor database");
  }
  address.host = host;
  if (port.empty()) return address;
  const auto number = port_of(port.substr(1));
  if (!number || port.front() != ':') {
    return fail(ErrorCode::kInvalidArgument, "the port of a URL is a number in 1..65535");
  }
  address.port = *number;
  return address;
}

Result<PlaceChoice> choose_place(const PlaceOptions& flags, const char* directory_of_environment,
                                 const char* url_of_environment) {
  const bool names_server = !flags.port.empty() || !flags.host.empty();
  const int named =
      (flags.directory.empty() ? 0 : 1) + (names_server ? 1 : 0) + (flags.url.empty() ? 0 : 1);
  if (named > 1) {
    return fail(ErrorCode::kInvalidArgument,
                "the data is in one place: give --data-dir, --url, or --port and --host");
  }
  PlaceChoice choice;
  if (names_server) {
    if (!flags.host.empty()) choice.server.host = flags.host;
    if (flags.port.empty()) return choice;
    const auto port = port_of(flags.port);
    if (!port) return tl::unexpected(port.error());
    choice.server.port = *port;
    return choice;
  }
  std::string directory = flags.directory;
  std::string url = flags.url;
  if (named == 0) {
    if (directory_of_environment != nullptr && !flags.asks_server) {
      directory = directory_of_environment;
    }
    if (url_of_environment != nullptr) url = url_of_environment;
    if (!directory.empty() && !url.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "ENGRAM_DATA_DIR and ENGRAM_URL are both set: unset one, or give --data-dir, "
                  "--url or --port");
    }
  }
  if (url.empty() && flags.asks_server) return choice;
  if (url.empty()) {
    choice.directory = directory.empty() ? kUsualDirectory : directory;
    return choice;
  }
  auto server = parse_url(url);
  if (!server) return tl::unexpected(std::move(server.error()));
  choice.server = std::move(*server);
  return choice;
}

}  // namespace engram
