// SPDX-License-Identifier: Apache-2.0
// What the routes tell of themselves.
#include <array>

#include "server/doors/http/http_call.h"
#include "server/doors/http/openapi.h"
#include "server/doors/http/routes/routes.h"

namespace engram {
namespace {

void openapi(HttpCall& call) {
  static const std::string kDocument = openapi_document(all_routes());
  call.reply.send(HttpResponse{.body = kDocument});
}

constexpr std::array kDocsRoutes = {
    Route{.method = "GET",
          .path = "/openapi.json",
          .handler = openapi,
          .is_public = true,
          .summary = "This description, as OpenAPI 3.1",
          .response_schema = R"({"type":"object"})"},
};

}  // namespace

std::span<const Route> docs_routes() {
  return kDocsRoutes;
}

}  // namespace engram
