// SPDX-License-Identifier: Apache-2.0
// What concerns the server as a whole.
#include <array>

#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/engine/persistence.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

/// 503 while changes cannot be kept: whoever sends writes here had better wait.
void health(HttpCall& call) {
  Persistence* const persistence = call.services.store.persistence();
  const Status health = persistence == nullptr ? Status() : persistence->health();
  HttpResponse response = {.status = health ? 200 : 503};
  JsonWriter json(response.body);
  json.begin_object();
  json.name("status").string(health ? "ok" : "read-only");
  json.name("version").string(kVersion);
  if (!health) {
    json.name("error").string(health.error().message);
    response.fields = "Retry-After: 1\r\n";
  }
  json.end_object();
  call.reply.send(std::move(response));
}

constexpr std::array kServerRoutes = {
    Route{.method = "GET",
          .path = "/health",
          .handler = health,
          .is_public = true,
          .summary = "Whether the server takes requests, and writes",
          .response_schema =
              R"({"type":"object","properties":{"status":{"enum":["ok","read-only"]},)"
              R"("version":{"type":"string"},"error":{"type":"string"}},)"
              R"("required":["status","version"]})"},
};

}  // namespace

std::span<const Route> server_routes() {
  return kServerRoutes;
}

}  // namespace engram
