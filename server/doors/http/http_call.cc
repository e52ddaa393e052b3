// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_call.h"

#include <algorithm>
#include <new>

#include "server/requests/shown.h"

namespace engram {

CommandKind RoutedRequest::kind() const {
  if (route.updates == nullptr) return route.kind;
  try {
    return route.updates(*this) ? route.kind : CommandKind::kRead;
  } catch (const std::bad_alloc&) {
    return route.kind;  // the handler will say so
  }
}

std::string_view MatchedRequest::path_value(std::string_view name) const {
  std::string_view path = route.path;
  for (const std::string& value : values_) {
    path.remove_prefix(path.find('{') + 1);
    const std::size_t end = path.find('}');
    if (path.substr(0, end) == name) return value;
    path.remove_prefix(end);
  }
  return {};
}

Result<std::optional<std::string>> MatchedRequest::query_value(std::string_view name) const {
  std::string_view rest = split_target(request.target).query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name) continue;
    auto value = decode_percent(pair.substr(std::min(equals + 1, pair.size())), true);
    if (value) return value;
    return fail(ErrorCode::kInvalidArgument,
                "the parameter " + shown(name) +
                    " has a percent sign that is not followed by two hexadecimal digits");
  }
  return std::optional<std::string>();
}

}  // namespace engram
