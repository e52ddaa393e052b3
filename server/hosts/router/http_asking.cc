// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/http_asking.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "server/doors/http/answers.h"
#include "server/doors/http/openapi.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

struct Served {
  std::string_view method;
  std::string_view path;  ///< behind /collections/{name}, if it is below that, too
  HttpHandler handler;
};

constexpr std::array kServed = {
    Served{"GET", "/health", http_health},
    Served{"GET", "/openapi.json", http_openapi},
    Served{"GET", "/collections", http_list_collections},
    Served{"PUT", "/collections/{name}", http_put_collection},
    Served{"GET", "/collections/{name}", http_get_collection},
    Served{"DELETE", "/collections/{name}", http_drop_collection},
    Served{"POST", "/vectors", http_insert},
    Served{"POST", "/vectors/batch", http_insert_batch},
    Served{"GET", "/vectors/{id}", http_get},
    Served{"DELETE", "/vectors/{id}", http_erase},
    Served{"POST", "/search", http_search},
    Served{"POST", "/search/batch", http_search_batch},
    Served{"POST", "/recall", http_recall},
    Served{"POST", "/energy", http_energy},
};

/// What kind of error a node, or the router, has answered.
ErrorCode code_of(const Reply& error) {
  constexpr std::array<std::string_view, 6> kUnavailable = {"MISSING", "NOREPLICAS", "MISCONF",
                                                            "LOADING", "READONLY",   "BUSY"};
  const auto has_prefix = [&error](std::string_view prefix) { return error.is_error(prefix); };
  if (std::any_of(kUnavailable.begin(), kUnavailable.end(), has_prefix)) {
    return ErrorCode::kUnavailable;
  }
  if (has_prefix("OOM")) return ErrorCode::kResourceExhausted;
  if (has_prefix("WRONGTYPE")) return ErrorCode::kWrongType;
  return ErrorCode::kInvalidArgument;
}

/// The sentence without the word that says its kind to clients of RESP.
std::string sentence_of(const Reply& error) {
  return error.is_error("MISSING") ? error.text.substr(sizeof("MISSING")) : error.error_text();
}

}  // namespace

void HttpAsking::answer_error(const Error& error) const {
  constexpr int kNotImplemented = 501;
  answer(error.code == ErrorCode::kUnsupported ? error_response(kNotImplemented, error.message)
                                               : error_response(error));
}

HttpHandler find_http_handler(const Route& route) {
  constexpr std::string_view kBelow = "/collections/{name}";
  const auto found = std::find_if(kServed.begin(), kServed.end(), [&](const Served& served) {
    std::string_view path = route.path;
    const bool is_same = path == served.path;
    if (path.starts_with(kBelow)) path.remove_prefix(kBelow.size());
    return route.method == served.method && (is_same || path == served.path);
  });
  return found == kServed.end() ? nullptr : found->handler;
}

CallPtr call_for(const HttpAskingPtr& asking, std::vector<std::string> argv, bool is_write,
                 OnResult go_on) {
  ++asking->services.counts.commands;
  auto reply = std::make_shared<PendingReply>(asking->load, is_write);
  for (const std::string& word : argv) reply->charge(word.size());
  reply->filled = [reply = reply.get(), go_on = std::move(go_on)] {
    const Reply answered = read_reply(reply->bytes());
    if (!answered.is_error()) return go_on(answered);
    go_on(fail(reply->error_code().value_or(code_of(answered)), sentence_of(answered)));
  };
  return std::make_shared<Call>(Call{.argv = std::move(argv),
                                     .services = asking->services,
                                     .client = nullptr,
                                     .version = RespVersion::kResp3,
                                     .reply = std::move(reply)});
}

void carry_out(const HttpAskingPtr& asking, std::vector<std::string> argv, OnResult go_on) {
  const CommandSpec& spec = *find_command(argv[0]);
  const bool is_write = spec.kind == CommandKind::kKeyWrite || spec.kind == CommandKind::kWrite;
  spec.handler(call_for(asking, std::move(argv), is_write, std::move(go_on)));
}

void carry_out_or_fail(const HttpAskingPtr& asking, std::vector<std::string> argv, OnReply go_on) {
  carry_out(asking, std::move(argv),
            [asking, go_on = std::move(go_on)](const Result<Reply>& reply) {
              reply ? go_on(*reply) : asking->answer_error(reply.error());
            });
}

namespace {

void look_for_layout(const HttpAskingPtr& asking, const std::string& index, bool fresh,
                     const std::function<Status(const Layout&)>& check,
                     const std::function<void(const LayoutPtr&)>& go_on) {
  asking->services.layouts.find(index, fresh, [=](const Result<LayoutPtr>& found) {
    if (!found) return asking->answer_error(found.error());
    Status taken = check_in_use(**found);
    if (taken) taken = check(**found);
    if (taken) return go_on(*found);
    if (fresh) return asking->answer_error(taken.error());
    look_for_layout(asking, index, true, check, go_on);
  });
}

}  // namespace

void with_layout_for(const HttpAskingPtr& asking, const std::string& index,
                     const std::function<Status(const Layout&)>& check,
                     const std::function<void(const LayoutPtr&)>& go_on) {
  look_for_layout(asking, index, false, check, go_on);
}

/// 503 while nobody serves some of the slots: what lies there cannot be reached.
void http_health(const HttpAskingPtr& asking, const MatchedRequest&) {
  const Cluster& cluster = asking->services.cluster;
  const std::size_t covered = cluster.knows_map() ? cluster.map().covered() : 0;
  if (covered == kSlots) return asking->answer(answer_health("ok", nullptr));
  const Error error = {ErrorCode::kUnavailable,
                       cluster.knows_map() ? std::to_string(covered) + " of " +
                                                 std::to_string(kSlots) + " slots are served"
                                           : std::string("no node of the cluster has answered")};
  asking->answer(answer_health("unavailable", &error));
}

void http_openapi(const HttpAskingPtr& asking, const MatchedRequest&) {
  static const std::string kDocument = [] {
    std::vector<const Route*> served = all_routes();
    std::erase_if(served, [](const Route* route) { return find_http_handler(*route) == nullptr; });
    return openapi_document(served);
  }();
  asking->answer(HttpResponse{.body = kDocument});
}

}  // namespace engram::router
