// SPDX-License-Identifier: Apache-2.0
// The routes as a table: it leads requests to handlers, says which methods a path has, and is what
// /openapi.json tells.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/spec.h"
#include "server/doors/http/http_request.h"

namespace engram {

class HttpCall;
class RoutedRequest;

/// A parameter of the query. All text is static.
struct QueryParameter {
  std::string_view name;
  std::string_view schema;  ///< JSON Schema
  std::string_view help;
};

/// A method of a path. All text is static.
struct Route {
  std::string_view method;
  std::string_view path;  ///< "/vectors/{id}": a name in braces stands for one segment
  void (*handler)(HttpCall& call);
  CommandKind kind = CommandKind::kNeutral;  ///< what may run beside it on one connection
  /// Whether that very request changes something; one that does not is a kRead, whatever `kind`
  /// says. Null: what `kind` says is so of every request.
  bool (*updates)(const RoutedRequest& request) = nullptr;
  bool takes_memory = false;  ///< refused beyond maxmemory
  bool is_public = false;     ///< needs no password
  std::string_view summary = {};
  std::string_view request_schema = {};   ///< JSON Schema of the body; empty: it takes none
  std::string_view response_schema = {};  ///< of the answer with status 200 or 201
  std::string_view binary_type = {};      ///< what the body may be beside JSON; empty: nothing
  std::span<const QueryParameter> query = {};
  bool writes_later = false;  ///< see Session::start()
};

/// The values of the names in a path, decoded, in their order.
using PathValues = std::vector<std::string>;

struct RouteMatch {
  const Route* route = nullptr;  ///< null: see refusal
  PathValues values = {};
  HttpRefusal refusal = {};  ///< 404, or 405 with the methods that there are
};

/// Every route, family by family.
std::vector<const Route*> all_routes();

/// The route of a method and a path without its query. HEAD is led to GET.
RouteMatch find_route(std::string_view method, std::string_view path);

/// `text` without its percent signs; nothing if one is not followed by two hexadecimal digits.
/// is_query: a plus is a space.
std::optional<std::string> decode_percent(std::string_view text, bool is_query = false);

/// An id as a cursor: of letters, digits and "-._", so that neither JSON nor a query makes another
/// of it. Any other byte becomes a tilde and two hexadecimal digits.
std::string cursor_of(std::string_view id);
/// The id of a cursor; nothing if that is none.
std::optional<std::string> read_cursor(std::string_view cursor);

/// The path of a target, and what follows its question mark. Scheme and authority, which a proxy is
/// sent, are left out.
struct TargetParts {
  std::string_view path;
  std::string_view query;
};
TargetParts split_target(std::string_view target);

}  // namespace engram
