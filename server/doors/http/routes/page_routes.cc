// SPDX-License-Identifier: Apache-2.0
// The page, and the files that it loads.
#include <algorithm>
#include <array>

#include "server/doors/http/assets.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// The page loads nothing from elsewhere, and nobody frames it.
constexpr std::string_view kPageFields =
    "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n";

void send_asset(HttpCall& call) {
  const std::string_view asked = split_target(call.request.target).path;
  const std::string_view path = asked == "/docs" ? "/assets/docs.html" : asked;
  const auto all = assets();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [path](const Asset& asset) { return asset.path == path; });
  if (found == all.end()) {
    return call.reply.send(Error{ErrorCode::kNotFound, "there is no file '" + shown(path) + "'"});
  }
  HttpResponse response = {.content_type = found->content_type};
  response.fields.append("ETag: ").append(found->etag).append("\r\n").append(kPageFields);
  if (call.request.field("if-none-match") == found->etag) {
    response.status = 304;
  } else {
    response.body = found->bytes;
  }
  call.reply.send(std::move(response));
}

constexpr std::array kPageRoutes = {
    Route{.method = "GET",
          .path = "/",
          .handler = send_asset,
          .is_public = true,
          .summary = "The page for people"},
    Route{.method = "GET",
          .path = "/docs",
          .handler = send_asset,
          .is_public = true,
          .summary = "The page that shows /openapi.json"},
    Route{.method = "GET",
          .path = "/assets/{file}",
          .handler = send_asset,
          .is_public = true,
          .summary = "A file that the page loads"},
};

}  // namespace

std::span<const Route> page_routes() {
  return kPageRoutes;
}

}  // namespace engram
