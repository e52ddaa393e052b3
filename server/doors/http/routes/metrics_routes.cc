// SPDX-License-Identifier: Apache-2.0
// What is counted, for programs that keep watch.
#include <array>
#include <memory>
#include <utility>

#include "server/commands/metrics_report.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/engine/within_memory.h"

namespace engram {
namespace {

/// A report on up to so many indexes takes less than half a millisecond (8: .2 ms), so the loop
/// writes it, and it comes while every worker is busy. On thousands it is megabytes: a worker's.
constexpr std::size_t kMostOnLoop = 8;

class MetricsRendering final : public Job {
 public:
  MetricsRendering(MetricsFacts facts, bool is_json, HttpReply reply)
      : facts_(std::move(facts)), is_json_(is_json), reply_(std::move(reply)) {}

  void run(Scratch&) noexcept override {
    const Status rendered = within_memory([this]() -> Status {
      response_.content_type = is_json_ ? kJsonType : kPrometheusType;
      response_.body = is_json_ ? metrics_json(facts_) : prometheus_text(facts_);
      return {};
    });
    if (!rendered) response_ = error_response(rendered.error());
    facts_ = {};  // perhaps the last to hold a collection
  }
  void done() noexcept override { reply_.send(std::move(response_)); }

 private:
  MetricsFacts facts_;
  const bool is_json_;
  HttpReply reply_;
  HttpResponse response_;
};

/// Prometheus asks for text of several versions, so JSON is for who names it first.
bool prefers_json(std::string_view accept) {
  const std::size_t json = accept.find("application/json");
  return json != std::string_view::npos && json < accept.find("text/plain");
}

void metrics(HttpCall& call) {
  const bool is_json = prefers_json(call.request.field("accept"));
  MetricsFacts facts = collect_metrics(call.services);
  const bool is_short = facts.indexes.size() <= kMostOnLoop;
  auto rendering =
      std::make_unique<MetricsRendering>(std::move(facts), is_json, std::move(call.reply));
  if (is_short) {
    Scratch scratch;
    rendering->run(scratch);
    rendering->done();
  } else {
    call.services.store.workers().submit(std::move(rendering));
  }
}

constexpr std::array kMetricsRoutes = {
    Route{.method = "GET",
          .path = "/metrics",
          .handler = metrics,
          .summary = "What is counted: text for Prometheus, or JSON where Accept asks for it",
          .response_schema =
              R"({"type":"object","properties":{"total_queries":{"type":"integer"},)"
              R"("total_inserts":{"type":"integer"},"total_deletes":{"type":"integer"},)"
              R"("avg_latency_us":{"type":"number"},"p50_latency_us":{"type":"number"},)"
              R"("p95_latency_us":{"type":"number"},"p99_latency_us":{"type":"number"},)"
              R"("indexes":{"type":"integer"},"vectors":{"type":"integer"},)"
              R"("uptime_seconds":{"type":"number"}}})"},
};

}  // namespace

std::span<const Route> metrics_routes() {
  return kMetricsRoutes;
}

}  // namespace engram
