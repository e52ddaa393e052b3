// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/router.h"

#include <algorithm>

#include "server/doors/http/routes/routes.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// Takes the first segment, with the slash before it, off `path`.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

bool is_name(std::string_view segment) {
  return segment.starts_with('{');
}

/// The values of the names in `pattern`, as they are written; nothing if `path` is no such path.
std::optional<std::vector<std::string_view>> match(std::string_view pattern,
                                                   std::string_view path) {
  std::vector<std::string_view> values;
  while (pattern.starts_with('/') && path.starts_with('/')) {
    const std::string_view expected = take_segment(pattern);
    const std::string_view segment = take_segment(path);
    if (is_name(expected) && !segment.empty()) {
      values.push_back(segment);
    } else if (expected != segment) {
      return std::nullopt;
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return values;
}

std::optional<int> hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return std::nullopt;
}

/// Text in which `mark` and two hexadecimal digits stand for a byte, and plusses for spaces if it
/// is a query's; nothing where the digits are missing.
std::optional<std::string> decode_bytes(std::string_view text, char mark, bool is_query) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != mark) {
      decoded += is_query && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    decoded += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return decoded;
}

constexpr char kCursorMark = '~';

bool is_plain_in_cursor(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

/// The route of a match, with its values decoded.
RouteMatch finish(const Route& route, const std::vector<std::string_view>& written) {
  RouteMatch found = {.route = &route};
  for (const std::string_view value : written) {
    auto decoded = decode_percent(value);
    if (!decoded) {
      return {.refusal = {400,
                          "a percent sign in the path is not followed by two hexadecimal "
                          "digits"}};
    }
    found.values.push_back(std::move(*decoded));
  }
  return found;
}

}  // namespace

std::vector<const Route*> all_routes() {
  std::vector<const Route*> all;
  for (const auto family : {server_routes(), metrics_routes(), vector_routes(), listing_routes(),
                            search_routes(), collection_routes(), dynamics_routes(), map_routes(),
                            recall_routes(), docs_routes(), page_routes()}) {
    for (const Route& route : family) all.push_back(&route);
  }
  return all;
}

RouteMatch find_route(std::string_view method, std::string_view path) {
  static const std::vector<const Route*> kRoutes = all_routes();
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allow;
  for (const Route* const route : kRoutes) {
    const auto values = match(route->path, path);
    if (!values) continue;
    if (route->method == wanted) return finish(*route, *values);
    if (!allow.empty()) allow += ", ";
    allow += route->method;
    if (route->method == "GET") allow += ", HEAD";
  }
  if (allow.empty()) {
    return {.refusal = {404, "there is no route '" + shown(path) + "'"}};
  }
  return {.refusal = {405,
                      "'" + shown(path) + "' has no method " + shown(method) + ", only " + allow,
                      allow}};
}

std::optional<std::string> decode_percent(std::string_view text, bool is_query) {
  return decode_bytes(text, '%', is_query);
}

std::string cursor_of(std::string_view id) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string cursor;
  cursor.reserve(id.size());
  for (const char c : id) {
    if (is_plain_in_cursor(c)) {
      cursor += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    cursor += kCursorMark;
    cursor += kDigits[byte >> 4U];
    cursor += kDigits[byte & 15U];
  }
  return cursor;
}

std::optional<std::string> read_cursor(std::string_view cursor) {
  return decode_bytes(cursor, kCursorMark, false);
}

TargetParts split_target(std::string_view target) {
  target = target.substr(0, target.find('#'));
  if (!target.starts_with('/')) {
    const std::size_t authority = target.find("://");
    if (authority != std::string_view::npos) {
      target.remove_prefix(authority + 3);
      target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    }
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  const std::string_view query = target.substr(question);
  return {.path = target.substr(0, question), .query = query.substr(query.empty() ? 0 : 1)};
}

}  // namespace engram
