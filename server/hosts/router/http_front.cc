// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/http_front.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "server/doors/http/http_intake.h"
#include "server/hosts/router/front.h"
#include "server/hosts/router/http_asking.h"
#include "server/hosts/router/node_link.h"

namespace engram::router {
namespace {

/// One request is carried out at a time, so responses are in order.
class HttpFront final : public Front {
 public:
  /// `progressed` is called when a response has come. `services` and `config` live longer.
  HttpFront(UniqueFd fd, std::uint64_t id, RouterServices& services, const ServerConfig& config,
            std::function<void()> progressed);

 private:
  bool start_next() override;
  [[nodiscard]] bool is_idle() const noexcept override { return !is_answering_; }
  [[nodiscard]] bool is_closing() const noexcept override { return !is_answering_ && is_last_; }
  [[nodiscard]] bool is_heard_out() const noexcept override { return is_cut_off_; }
  [[nodiscard]] std::int64_t silent_until_ms() const noexcept override;

  void begin();
  void carry_out(const std::function<void(HttpResponse)>& answer);
  void take(const HttpResponse& response, const HttpEnvelope& envelope);

  const std::uint64_t id_;
  RouterServices& services_;
  const ServerConfig& config_;
  HttpIntake intake_;
  const std::shared_ptr<std::size_t> load_ = std::make_shared<std::size_t>(0);  // in bytes
  std::uint64_t begun_ = 0;                                                     // requests
  bool is_answering_ = false;                                                   // the last of them
  bool is_last_ = false;     // the client sends no other
  bool is_cut_off_ = false;  // because it was refused before all of it had come
};

HttpFront::HttpFront(UniqueFd fd, std::uint64_t id, RouterServices& services,
                     const ServerConfig& config, std::function<void()> progressed)
    : Front(std::move(fd), std::move(progressed)),
      id_(id),
      services_(services),
      config_(config),
      intake_(config, [this] { output_ += kHttpContinue; }) {
  active_ms_ = steady_ms();
}

bool HttpFront::start_next() {
  is_held_up_ = is_answering_ || unsent_bytes() >= kMostUnsent;
  if (is_held_up_ || !intake_.read(input_, steady_ms())) return false;
  begin();
  return true;
}

void HttpFront::begin() {
  const std::uint64_t number = ++begun_;
  is_answering_ = true;
  is_held_up_ = true;
  const std::weak_ptr<bool> alive = alive_;
  const auto answer = [this, alive, number,
                       envelope = intake_.envelope(id_)](const HttpResponse& response) {
    if (alive.expired() || number != begun_ || !is_answering_) return;
    take(response, envelope);
    progressed_();
  };
  is_last_ = intake_.is_last();
  is_cut_off_ = intake_.is_cut_off();
  const HttpRefusal* const refused = intake_.refusal();
  refused != nullptr ? answer(error_response(*refused)) : carry_out(answer);
  intake_.begin_next();
}

void HttpFront::carry_out(const std::function<void(HttpResponse)>& answer) {
  constexpr int kNotImplemented = 501;
  const RouteMatch& match = intake_.match();
  const HttpHandler handler = find_http_handler(*match.route);
  if (handler == nullptr) {
    return answer(error_response(
        kNotImplemented, "a router does not carry out " + std::string(match.route->method) + " " +
                             std::string(match.route->path) + ", only a server by itself does"));
  }
  try {
    handler(std::make_shared<const HttpAsking>(HttpAsking{
                .services = services_, .config = config_, .load = load_, .answer = answer}),
            MatchedRequest(intake_.request(), *match.route, match.values));
  } catch (const std::bad_alloc&) {
    answer(
        error_response(Error{ErrorCode::kUnavailable, "out of memory for what the request holds"}));
  }
}

void HttpFront::take(const HttpResponse& response, const HttpEnvelope& envelope) {
  is_answering_ = false;
  active_ms_ = steady_ms();
  output_ += head_of(response, envelope);
  if (!envelope.is_head) output_ += response.body;
}

/// Half a head may take no longer than a silent client, however slowly it comes.
std::int64_t HttpFront::silent_until_ms() const noexcept {
  const std::int64_t patience_ms = config_.http_timeout * 1000;
  if (patience_ms <= 0) return 0;
  const std::int64_t head_since_ms = intake_.head_since_ms();
  return (head_since_ms != 0 ? head_since_ms : active_ms_) + patience_ms;
}

}  // namespace

HttpDoorway http_doorway() {
  return {.open = [](UniqueFd fd, std::uint64_t id, RouterServices& services,
                     const ServerConfig& config,
                     std::function<void()> progressed) -> std::unique_ptr<Front> {
            return std::make_unique<HttpFront>(std::move(fd), id, services, config,
                                               std::move(progressed));
          },
          .refusal = unasked_response};
}

}  // namespace engram::router
