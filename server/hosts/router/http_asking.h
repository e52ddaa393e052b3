// SPDX-License-Identifier: Apache-2.0
// A request of HTTP while a router carries it out: handlers make commands of it, as a client that
// speaks RESP would send them, and JSON of what those answer.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/config/config.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/http_response.h"
#include "server/hosts/router/call.h"
#include "server/hosts/router/layouts.h"
#include "server/resp/reply.h"

namespace engram::router {

struct HttpAsking {
  RouterServices& services;
  const ServerConfig& config;
  std::shared_ptr<std::size_t> load;  ///< see PendingReply
  std::function<void(HttpResponse)> answer;

  /// What a router leaves to a single server has the status 501.
  void answer_error(const Error& error) const;
};
using HttpAskingPtr = std::shared_ptr<const HttpAsking>;

/// Answers, at once or later. The request is valid until it returns.
using HttpHandler = void (*)(const HttpAskingPtr&, const MatchedRequest&);

/// Null: a router does not carry the route out.
HttpHandler find_http_handler(const Route& route);

using OnReply = std::function<void(const Reply&)>;
using OnResult = std::function<void(const Result<Reply>&)>;

/// Carries out a command of the table and goes on with its reply, of RESP3, or an Error.
void carry_out(const HttpAskingPtr& asking, std::vector<std::string> argv, OnResult go_on);
/// The same; an error is answered.
void carry_out_or_fail(const HttpAskingPtr& asking, std::vector<std::string> argv, OnReply go_on);

/// A call that is to be scattered, whose answer comes as that of carry_out(). argv[0] is in small
/// letters.
CallPtr call_for(const HttpAskingPtr& asking, std::vector<std::string> argv, bool is_write,
                 OnResult go_on);

/// Goes on with the layout of an index that takes what is asked, as `check` says; or answers why
/// not. What is remembered of an index is not refused by before it is read anew.
void with_layout_for(const HttpAskingPtr& asking, const std::string& index,
                     const std::function<Status(const Layout&)>& check,
                     const std::function<void(const LayoutPtr&)>& go_on);

// The handlers of the routes, by family.

void http_health(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_openapi(const HttpAskingPtr& asking, const MatchedRequest& request);

void http_list_collections(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_put_collection(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_get_collection(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_drop_collection(const HttpAskingPtr& asking, const MatchedRequest& request);

void http_insert(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_insert_batch(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_get(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_erase(const HttpAskingPtr& asking, const MatchedRequest& request);

void http_search(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_search_batch(const HttpAskingPtr& asking, const MatchedRequest& request);

void http_recall(const HttpAskingPtr& asking, const MatchedRequest& request);
void http_energy(const HttpAskingPtr& asking, const MatchedRequest& request);

}  // namespace engram::router
