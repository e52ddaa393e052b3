// SPDX-License-Identifier: Apache-2.0
// What concerns the server as a whole.
#include <array>

#include "server/doors/http/answers.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/engine/persistence.h"

namespace engram {
namespace {

/// 503 while changes cannot be kept: whoever sends writes here had better wait.
void health(HttpCall& call) {
  Persistence* const persistence = call.services.store.persistence();
  const Status health = persistence == nullptr ? Status() : persistence->health();
  call.reply.send(answer_health(health ? "ok" : "read-only", health ? nullptr : &health.error()));
}

constexpr std::array kServerRoutes = {
    Route{
        .method = "GET",
        .path = "/health",
        .handler = health,
        .is_public = true,
        .summary = "Whether the server takes requests, and writes",
        .response_schema =
            R"({"type":"object","properties":{"status":{"enum":["ok","read-only","unavailable"]},)"
            R"("version":{"type":"string"},"error":{"type":"string"}},)"
            R"("required":["status","version"]})"},
};

}  // namespace

std::span<const Route> server_routes() {
  return kServerRoutes;
}

}  // namespace engram
