// SPDX-License-Identifier: Apache-2.0
// Of a call, the library's threads only parse; each of its events is a task of the loop, to which
// all else belongs. Its last event is its end, so what is posted before finds it alive.
#include "server/doors/grpc/grpc_door.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <engram.pb.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/rpc_service_method.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/codegen/service_type.h>

#include "server/config/config.h"
#include "server/config/password.h"
#include "server/doors/grpc/grpc_methods.h"
#include "server/doors/grpc/grpc_reply.h"
#include "server/engine/not_writable.h"
#include "server/runtime/loop_tasks.h"
#include "server/session/session.h"

namespace engram {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using grpc::ByteBuffer;

constexpr std::size_t kMostUnsentBytes = 1024UL * 1024;  // then a stream is read no further

grpc::Status status_of(std::string_view refusal) {
  return {static_cast<grpc::StatusCode>(refusal.front()), std::string(refusal.substr(1))};
}

/// ipv4:127.0.0.1:50000, ipv6:%5B::1%5D:50000, or unix:
bool is_local(std::string_view peer) {
  constexpr std::string_view kLocal[] = {"ipv4:127.",           "ipv6:%5B::1%5D:",   "ipv6:[::1]:",
                                         "ipv6:%5B::ffff:127.", "ipv6:[::ffff:127.", "unix:"};
  for (const std::string_view start : kLocal) {
    if (peer.starts_with(start)) return true;
  }
  return false;
}

/// The metadata `authorization: Bearer <password>`, or `api-key: <password>`; empty: neither.
std::string given_password(const grpc::CallbackServerContext& context) {
  constexpr std::string_view kBearer = "Bearer ";
  const auto& metadata = context.client_metadata();
  const auto value_of = [&](const char* name) {
    const auto found = metadata.find(name);
    return found == metadata.end() ? std::string()
                                   : std::string(found->second.data(), found->second.size());
  };
  const std::string authorization = value_of("authorization");
  return authorization.starts_with(kBearer) ? authorization.substr(kBearer.size())
                                            : value_of("api-key");
}

class Call;

/// What calls share, on the loop but for tasks.
struct Calls {
  Calls(Sessions& known, Services& shared, std::function<void()> wake)
      : sessions(known), services(shared), wake_loop(std::move(wake)), tasks([this] {
          ++posted;
          posted.notify_one();
          wake_loop();
        }) {}

  Sessions& sessions;
  Services& services;
  const std::function<void()> wake_loop;
  std::atomic<unsigned> posted = 0;
  LoopTasks tasks;  // any thread
  std::unordered_set<Call*> all;
  std::unordered_set<Call*> waiting;  // with a request that could not start
  bool is_closed = false;
};

class Call final : public grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>, private ClientSink {
 public:
  Call(Calls& calls, const GrpcMethod& method, const MethodDescriptor& descriptor,
       const grpc::CallbackServerContext& context)
      : calls_(calls),
        method_(method),
        descriptor_(descriptor),
        password_(given_password(context)),
        is_local_(is_local(context.peer())) {
    calls_.tasks.post([this] { enter(); });
  }

  /// Executes the request that waits, if it may.
  void proceed() {
    if (request_ == nullptr || !session_ || end_) return;
    Services& services = calls_.services;
    const CommandKind kind = method_.kind(services, *request_);
    const auto begin = [&](Deferred reply) {
      if (is_too_much(kind)) {
        return reply.reply_rendered(grpc_refusal(
            GrpcCode::kResourceExhausted, "used memory exceeds maxmemory, the request takes more"));
      }
      services.store.keyspace().set_touching(true);
      method_.begin(services, *request_, std::move(reply), is_abandoned_);
    };
    if (!session_->start(kind, begin)) {
      calls_.waiting.insert(this);
      return;
    }
    calls_.waiting.erase(this);
    ++services.stats.commands;
    request_.reset();
    read_on();
  }

  /// Nothing more is executed; answers that are due are not waited for.
  void end(grpc::Status status) {
    if (end_) return;
    *is_abandoned_ = true;
    end_ = std::move(status);
    if (!is_writing_) finish();
  }

 private:
  void OnReadDone(bool ok) override {
    std::shared_ptr<Message> message;
    const Status parsed = ok ? within_memory([&] { return parse(message); }) : Status();
    calls_.tasks.post([this, ok, parsed, message = std::move(message)] {
      if (!ok) return end_input();
      if (!parsed) return end(status_of(grpc_refusal(parsed.error())));
      is_reading_ = false;
      has_read_ = true;
      request_ = message;
      proceed();
    });
  }
  /// What has arrived.
  Status parse(std::shared_ptr<Message>& message) {
    const auto* const type = google::protobuf::MessageFactory::generated_factory()->GetPrototype(
        descriptor_.input_type());
    message.reset(type->New());
    if (grpc::SerializationTraits<Message>::Deserialize(&arrived_, message.get()).ok()) return {};
    return fail(ErrorCode::kInvalidArgument, "the message cannot be parsed");
  }
  void OnWriteDone(bool ok) override {
    calls_.tasks.post([this, ok] { written(ok); });
  }
  void OnCancel() override {
    *is_abandoned_ = true;
    calls_.tasks.post([this] { leave(); });
  }
  void OnDone() override {
    calls_.tasks.post([this] {
      calls_.all.erase(this);
      calls_.waiting.erase(this);
      delete this;
    });
  }

  void enter() {
    calls_.all.insert(this);
    const ServerConfig& config = calls_.services.config;
    if (calls_.is_closed) return end({grpc::StatusCode::UNAVAILABLE, "the server ends"});
    if (calls_.all.size() > static_cast<std::size_t>(config.maxclients)) {
      return end({grpc::StatusCode::RESOURCE_EXHAUSTED, "max number of clients reached"});
    }
    if (config.protected_mode && config.requirepass.empty() && !is_local_) {
      return end({grpc::StatusCode::PERMISSION_DENIED,
                  "without a password, protected mode serves only this computer"});
    }
    if (!lets_in(password_, config.requirepass)) {
      return end(
          {grpc::StatusCode::UNAUTHENTICATED,
           "a password is needed: authorization: Bearer <password>, or api-key: <password>"});
    }
    ClientSink& sink = *this;
    session_.emplace(calls_.sessions, sink);
    read_on();
  }

  /// As a client that has gone: nobody wants what has not begun.
  void leave() {
    session_.reset();
    request_.reset();
    calls_.waiting.erase(this);
    unsent_.clear();
    end(grpc::Status::CANCELLED);
  }

  void read_on() {
    const bool is_whole = has_read_ && !descriptor_.client_streaming();
    if (is_reading_ || is_whole || input_ended_ || end_ || request_ != nullptr) return;
    if (session_ && session_->unread_bytes() >= kMostUnsentBytes) return;
    is_reading_ = true;
    StartRead(&arrived_);
  }

  void end_input() {
    is_reading_ = false;
    input_ended_ = true;
    if (!has_read_ && !descriptor_.client_streaming()) {
      return end({grpc::StatusCode::INVALID_ARGUMENT, "the call has no message"});
    }
    end_if_done();
  }

  /// All that was asked has been answered.
  void end_if_done() {
    const bool is_whole = input_ended_ || (has_read_ && !descriptor_.client_streaming());
    if (is_whole && request_ == nullptr && session_ && session_->quiet() && unsent_.empty() &&
        !is_writing_) {
      end(grpc::Status::OK);
    }
  }

  void reply(std::string_view bytes) override { reply_owned(std::string(bytes)); }
  void reply_owned(std::string&& bytes) override {
    unsent_bytes_ += bytes.size();
    unsent_.push_back(std::move(bytes));
    // Later: this may be in the middle of what the session does.
    if (unsent_.size() == 1 && !is_writing_) calls_.tasks.post([this] { write_on(); });
  }
  [[nodiscard]] bool is_full() const override { return unsent_bytes_ >= kMostUnsentBytes; }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override { return unsent_bytes_; }
  std::string refusal(const Error& error) override { return grpc_refusal(not_writable(error)); }
  void progressed() override {
    if (calls_.waiting.contains(this)) calls_.wake_loop();
  }

  void write_on() {
    if (is_writing_ || end_ || unsent_.empty()) return;
    const std::string bytes = std::move(unsent_.front());
    unsent_.pop_front();
    unsent_bytes_ -= bytes.size();
    if (bytes.front() != static_cast<char>(GrpcCode::kOk)) return end(status_of(bytes));
    const grpc::Slice slice(bytes.data() + 1, bytes.size() - 1);
    leaving_ = ByteBuffer(&slice, 1);
    is_writing_ = true;
    StartWrite(&leaving_);
  }

  void written(bool ok) {
    is_writing_ = false;
    if (end_) return finish();
    if (!ok) return leave();
    write_on();
    read_on();
    end_if_done();
  }

  void finish() {
    if (std::exchange(is_finished_, true)) return;
    calls_.waiting.erase(this);
    request_.reset();
    session_.reset();
    Finish(*end_);
  }

  [[nodiscard]] bool is_too_much(CommandKind kind) {
    const std::size_t most = calls_.services.config.maxmemory;
    return method_.takes_memory && changes_something(kind) && most != 0 &&
           calls_.sessions.memory().exceeds(most, request_->SpaceUsedLong());
  }

  Calls& calls_;
  const GrpcMethod& method_;
  const MethodDescriptor& descriptor_;
  const std::string password_;
  const bool is_local_;
  ByteBuffer arrived_;  // of the read that is under way
  ByteBuffer leaving_;  // of the write that is under way
  const std::shared_ptr<std::atomic<bool>> is_abandoned_ =
      std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<Message> request_;
  std::deque<std::string> unsent_;
  std::size_t unsent_bytes_ = 0;
  bool is_reading_ = false;
  bool is_writing_ = false;
  bool has_read_ = false;
  bool input_ended_ = false;
  bool is_finished_ = false;
  std::optional<grpc::Status> end_;
  std::optional<Session> session_;
};

/// Every method is a stream of bytes to the library; one that is not has one message each way.
class ByteService final : public grpc::Service {
 public:
  ByteService(Calls& calls, const google::protobuf::ServiceDescriptor& descriptor) {
    names_.reserve(static_cast<std::size_t>(descriptor.method_count()));
    for (int i = 0; i < descriptor.method_count(); ++i) add(calls, *descriptor.method(i), i);
  }

 private:
  void add(Calls& calls, const MethodDescriptor& descriptor, int position) {
    const auto methods = grpc_methods();
    const auto found = std::find_if(methods.begin(), methods.end(), [&](const GrpcMethod& method) {
      return method.name == descriptor.full_name();
    });
    names_.push_back("/" + descriptor.service()->full_name() + "/" + descriptor.name());
    AddMethod(new grpc::internal::RpcServiceMethod(
        names_.back().c_str(), grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodRawCallback(position, new grpc::internal::CallbackBidiHandler<ByteBuffer, ByteBuffer>(
                                        [&calls, &method = *found,
                                         &descriptor](grpc::CallbackServerContext* context) {
                                          return new Call(calls, method, descriptor, *context);
                                        }));
  }

  std::vector<std::string> names_;  // which the library borrows
};

class OpenGrpcDoor final : public GrpcDoor {
 public:
  OpenGrpcDoor(Sessions& sessions, Services& services, std::function<void()> wake)
      : calls_(sessions, services, std::move(wake)),
        engram_(calls_, service("engram.v1.Engram")),
        ids_(calls_, service("engram.v1.VectorStore")) {}
  ~OpenGrpcDoor() override { end(); }
  OpenGrpcDoor(const OpenGrpcDoor&) = delete;
  OpenGrpcDoor& operator=(const OpenGrpcDoor&) = delete;

  Status listen() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    const ServerConfig& config = calls_.services.config;
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(static_cast<int>(
        std::min<std::size_t>(config.http_max_body, std::numeric_limits<int>::max())));
    // What is compressed would be unpacked before its size is looked at.
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    std::vector<int> ports(config.grpc_bind.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
      const std::string& host = config.grpc_bind[i];
      const bool is_v6 = host.find(':') != std::string::npos;
      builder.AddListeningPort(
          (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(config.grpc_port),
          grpc::InsecureServerCredentials(), &ports[i]);
    }
    builder.RegisterService(&engram_);
    builder.RegisterService(&ids_);
    server_ = builder.BuildAndStart();
    if (server_ != nullptr && std::find(ports.begin(), ports.end(), 0) == ports.end()) return {};
    return fail(ErrorCode::kIo,
                "cannot listen for gRPC on port " + std::to_string(config.grpc_port));
  }

  void execute() override {
    calls_.tasks.run();
    const std::vector<Call*> waiting(calls_.waiting.begin(), calls_.waiting.end());
    for (Call* const call : waiting) call->proceed();
  }

  void close() override { end(); }

 private:
  static const google::protobuf::ServiceDescriptor& service(const char* name) {
    return *v1::Empty::descriptor()->file()->pool()->FindServiceByName(name);
  }

  /// The library waits for the calls, which the loop ends meanwhile.
  void end() {
    if (server_ == nullptr) return;
    calls_.is_closed = true;
    calls_.tasks.run();
    const std::vector<Call*> all(calls_.all.begin(), calls_.all.end());
    for (Call* const call : all) call->end({grpc::StatusCode::UNAVAILABLE, "the server ends"});
    bool has_ended = false;
    std::thread ending([&] {
      server_->Shutdown(std::chrono::system_clock::now());
      calls_.tasks.post([&has_ended] { has_ended = true; });
    });
    while (!has_ended) {
      const unsigned seen = calls_.posted.load();
      calls_.tasks.run();
      if (!has_ended) calls_.posted.wait(seen);
    }
    ending.join();
    server_.reset();
    calls_.tasks.run();
  }

  Calls calls_;
  ByteService engram_;
  ByteService ids_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<GrpcDoor>> open_grpc_door(Sessions& sessions, Services& services,
                                                 std::function<void()> wake) {
  auto door = std::make_unique<OpenGrpcDoor>(sessions, services, std::move(wake));
  ENGRAM_TRY(door->listen());
  return door;
}

}  // namespace engram
