// SPDX-License-Identifier: Apache-2.0
#include "server/doors/grpc/grpc_methods.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <engram.pb.h>
#include <simdjson.h>

#include "core/text.h"
#include "server/config/config.h"
#include "server/doors/grpc/grpc_reply.h"
#include "server/engine/attributes.h"
#include "server/requests/attributes.h"
#include "server/requests/default_collection.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"
#include "server/requests/put.h"
#include "server/requests/recall.h"
#include "server/requests/reinforcement.h"
#include "server/requests/search.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

using google::protobuf::Message;
using OptionMap = google::protobuf::Map<std::string, std::string>;
using Floats = google::protobuf::RepeatedField<float>;

Result<IndexRef> find_collection(Services& services, const std::string& name) {
  return find_index(services.store, name_or_default(name), Missing::kGone);
}

std::span<const float> values(const Floats& floats) {
  return {floats.data(), static_cast<std::size_t>(floats.size())};
}

std::vector<OptionText> option_texts(const OptionMap& options) {
  std::vector<OptionText> texts;
  for (const auto& [name, value] : options) texts.emplace_back(name, value);
  return texts;
}

/// Answers what `ask()`, a Result of a message, has at once.
template <class Ask>
void answer_at_once(Deferred reply, Ask ask) {
  std::string bytes;
  const Status asked = within_memory([&]() -> Status {
    const auto message = ask();
    if (!message) return tl::unexpected(message.error());
    bytes = grpc_answer(*message);
    return {};
  });
  reply.reply_rendered(asked ? std::move(bytes) : grpc_refusal(asked.error()));
}

/// Starts what `read()`, a Result of a request, makes.
template <class Answer, class Read>
void start_read(Services& services, const Responder<Answer>& responder, Read read) {
  const Status begun = within_memory([&]() -> Status {
    auto request = read();
    if (!request) return tl::unexpected(std::move(request.error()));
    start(services.store, std::move(*request), responder);
    return {};
  });
  if (!begun) responder.refuse(begun.error());
}

void describe(const IndexRef& index, v1::Collection& shown) {
  shown.set_name(index.name);
  shown.set_dim(static_cast<std::uint32_t>(index.spec().dim));
  shown.set_metric(std::string(metric_name(index.spec().metric)));
  shown.set_primitive(std::string(index.spec().primitive->name));
  shown.set_count(index.collection->size());
}

void create_collection(Services& services, const v1::CreateCollectionRequest& asked,
                       Deferred reply) {
  answer_at_once(std::move(reply), [&]() -> Result<v1::Collection> {
    NewIndexRequest request = {.name = name_or_default(asked.name()), .dim = asked.dim()};
    ENGRAM_TRY(read_options(option_texts(asked.options()), request));
    ENGRAM_TRY(create_index(services.store, request));
    const auto index = find_collection(services, asked.name());
    if (!index) return tl::unexpected(index.error());
    v1::Collection made;
    describe(*index, made);
    return made;
  });
}

void drop_collection(Services& services, const v1::CollectionRequest& asked, Deferred reply) {
  answer_at_once(std::move(reply), [&]() -> Result<v1::Empty> {
    ENGRAM_TRY(drop_index(services.store, name_or_default(asked.name())));
    return v1::Empty();
  });
}

void list_collections(Services& services, const v1::Empty&, Deferred reply) {
  answer_at_once(std::move(reply), [&]() -> Result<v1::CollectionList> {
    v1::CollectionList list;
    for (const std::string& name : list_indexes(services.store)) {
      v1::Collection& shown = *list.add_collections();
      // Names are bytes, and a text of a message that is no UTF-8 would fail the whole list.
      if (!simdjson::validate_utf8(name)) {
        shown.set_error("the name is not UTF-8: this collection is for other doors");
        continue;
      }
      shown.set_name(name);
      const auto index = find_index(services.store, name, Missing::kGone);
      index ? describe(*index, shown) : shown.set_error(index.error().message);
    }
    return list;
  });
}

void describe_collection(Services& services, const v1::CollectionRequest& asked, Deferred reply) {
  const auto index = find_collection(services, asked.name());
  if (!index) return reply.reply_rendered(grpc_refusal(index.error()));
  const auto render = [index = *index](v1::Collection& shown, const std::vector<Fact>& facts) {
    describe(index, shown);
    for (const Fact& fact : facts) (*shown.mutable_info())[fact.name] = fact.value;
    return Status();
  };
  start(services.store, InfoRequest{*index},
        respond<v1::Collection, std::vector<Fact>>(std::move(reply), render));
}

Status add_items(const v1::PutRequest& asked, PutRequest& put) {
  put.reserve(static_cast<std::size_t>(asked.items_size()));
  for (const v1::Item& item : asked.items()) {
    ENGRAM_TRY(put.add(item.key(), values(item.vector())));
    put.attributes_of_each.emplace_back();
    if (!item.has_metadata()) continue;
    if (!item.metadata().empty()) ENGRAM_TRY(check_attributes(item.metadata()));
    put.attributes_of_each.back() = item.metadata();
  }
  ENGRAM_TRY(read_options(option_texts(asked.options()), put));
  if (!put.unless) return {};
  return fail(ErrorCode::kUnsupported, "UNLESS is an option of VADD alone");
}

template <class Response, class Render>
void start_put(Services& services, const v1::PutRequest& asked, Deferred reply, Render render) {
  const auto responder = respond<Response, std::size_t>(std::move(reply), render);
  const Status begun = within_memory([&]() -> Status {
    if (asked.items().empty()) {
      return fail(ErrorCode::kInvalidArgument, "a Put has at least one item");
    }
    const ServerConfig& config = services.config;
    const auto target = find_put_target(
        services.store, {.name = name_or_default(asked.collection()),
                         .dim = static_cast<std::size_t>(asked.items(0).vector_size()),
                         .metric = config.http_metric,
                         .primitive = config.http_primitive});
    if (!target) return tl::unexpected(target.error());
    PutRequest put(target->index);
    ENGRAM_TRY(add_items(asked, put));
    publish(services.store, *target);
    start(services.store, put, responder);
    return {};
  });
  if (!begun) responder.refuse(begun.error());
}

void put(Services& services, const v1::PutRequest& asked, Deferred reply) {
  start_put<v1::PutResponse>(services, asked, std::move(reply),
                             [](v1::PutResponse& response, std::size_t created) {
                               response.set_created(created);
                               return Status();
                             });
}

void put_id(Services& services, const v1::IdVector& asked, Deferred reply) {
  v1::PutRequest one;
  v1::Item& item = *one.add_items();
  item.set_key(std::to_string(asked.id()));
  *item.mutable_vector() = asked.vector();
  start_put<v1::Empty>(services, one, std::move(reply),
                       [](v1::Empty&, std::size_t) { return Status(); });
}

tl::unexpected<Error> no_such_key(std::string_view key) {
  return fail(ErrorCode::kNotFound, "there is no key '" + shown(key) + "'");
}

void get(Services& services, const v1::KeyRequest& asked, Deferred reply) {
  answer_at_once(std::move(reply), [&]() -> Result<v1::Item> {
    const std::string_view name = name_or_default(asked.collection());
    const auto index = find_collection(services, asked.collection());
    if (!index) return tl::unexpected(index.error());
    const auto vector = get_vector(services.store, name, asked.key());
    if (!vector) return tl::unexpected(vector.error());
    if (!*vector) return no_such_key(asked.key());
    const auto attributes = get_attributes(services.store, name, asked.key());
    if (!attributes) return tl::unexpected(attributes.error());
    v1::Item item;
    item.set_key(asked.key());
    item.mutable_vector()->Add((*vector)->begin(), (*vector)->end());
    if (*attributes) item.set_metadata(std::string(**attributes));
    return item;
  });
}

void erase(Services& services, const v1::KeyRequest& asked, Deferred reply) {
  const auto render = [key = asked.key()](v1::Empty&, bool erased) -> Status {
    if (!erased) return no_such_key(key);
    return {};
  };
  start_read(services, respond<v1::Empty, bool>(std::move(reply), render),
             [&]() -> Result<EraseRequest> {
               auto index = find_collection(services, asked.collection());
               if (!index) return tl::unexpected(std::move(index.error()));
               return EraseRequest{std::move(*index), asked.key()};
             });
}

Result<SearchRequest> read_search(Services& services, const v1::SearchRequest& asked,
                                  const Abandonment& abandonment) {
  auto index = find_collection(services, asked.collection());
  if (!index) return tl::unexpected(std::move(index.error()));
  SearchRequest request = {.index = std::move(*index)};
  ENGRAM_TRY(request.queries.add(request.index, values(asked.vector())));
  if (asked.has_k()) request.k = asked.k();
  ENGRAM_TRY(kNeighborCount.check(request.k));
  auto options = option_texts(asked.options());
  if (!asked.filter().empty()) options.emplace_back("FILTER", asked.filter());
  ENGRAM_TRY(read_options(std::move(options), request));
  request.truth = asked.exact();
  request.strength.fields.attributes = asked.with_metadata();
  if (!request.strength.touch) request.abandonment = abandonment;
  return request;
}

void search(Services& services, const v1::SearchRequest& asked, Deferred reply,
            const Abandonment& abandonment) {
  const bool shows_metadata = asked.with_metadata();
  const auto render = [shows_metadata](v1::SearchResponse& response,
                                       const SearchAnswer& answer) -> Status {
    std::size_t bytes = 0;
    for (const Neighbor& neighbor : answer.neighbors.front()) {
      bytes += neighbor.key.size() + neighbor.attributes.size();
    }
    ENGRAM_TRY(check_answer_bytes(bytes, "k"));
    for (const Neighbor& neighbor : answer.neighbors.front()) {
      v1::Match& match = *response.add_matches();
      match.set_key(std::string(neighbor.key));
      match.set_distance(neighbor.distance);
      if (shows_metadata && !neighbor.attributes.empty()) {
        match.set_metadata(std::string(neighbor.attributes));
      }
    }
    return {};
  };
  start_read(services, respond<v1::SearchResponse, SearchAnswer>(std::move(reply), render),
             [&] { return read_search(services, asked, abandonment); });
}

/// Keys that are no ids have been put through another door.
void search_ids(Services& services, const v1::IdSearchRequest& asked, Deferred reply,
                const Abandonment& abandonment) {
  const auto render = [](v1::IdSearchResponse& response, const SearchAnswer& answer) -> Status {
    for (const Neighbor& neighbor : answer.neighbors.front()) {
      const auto id = parse_number<std::uint32_t>(neighbor.key);
      if (!id) continue;
      v1::IdMatch& match = *response.add_matches();
      match.set_id(*id);
      match.set_distance(neighbor.distance);
    }
    return {};
  };
  start_read(services, respond<v1::IdSearchResponse, SearchAnswer>(std::move(reply), render), [&] {
    v1::SearchRequest one;
    *one.mutable_vector() = asked.vector();
    if (asked.k() != 0) one.set_k(asked.k());
    return read_search(services, one, abandonment);
  });
}

v1::Share share_of(std::string_view key, const Share& share) {
  v1::Share shown;
  shown.set_key(std::string(key));
  shown.set_weight(share.weight);
  return shown;
}

Status render_recall(v1::RecallResponse& response, const RecallAnswer& answer) {
  const Recall& recall = answer.recall;
  response.mutable_state()->Add(recall.state.begin(), recall.state.end());
  if (recall.attractor) {
    *response.mutable_attractor() = share_of(answer.attractor.value_or(""), *recall.attractor);
    response.set_distance(recall.distance);
  }
  response.set_kind(std::string(kRecallKindNames[static_cast<std::size_t>(recall.kind)]));
  response.set_entropy(recall.entropy);
  for (std::size_t i = 0; i < recall.support.size(); ++i) {
    *response.add_support() = share_of(answer.support[i], recall.support[i]);
  }
  response.set_steps(static_cast<std::uint32_t>(recall.steps));
  response.set_converged(recall.converged);
  return {};
}

void recall(Services& services, const v1::RecallRequest& asked, Deferred reply,
            const Abandonment& abandonment) {
  start_read(services, respond<v1::RecallResponse, RecallAnswer>(std::move(reply), render_recall),
             [&]() -> Result<RecallRequest> {
               auto index = find_recalling_index(
                   services.store, name_or_default(asked.collection()), Missing::kGone);
               if (!index) return tl::unexpected(std::move(index.error()));
               RecallRequest request = {.index = std::move(*index)};
               ENGRAM_TRY(request.cue.add(request.index, values(asked.vector())));
               ENGRAM_TRY(read_options(option_texts(asked.options()), request));
               request.abandonment = abandonment;
               return request;
             });
}

bool touches(const OptionMap& options) {
  return std::any_of(options.begin(), options.end(),
                     [](const auto& option) { return equal_ignoring_case(option.first, "TOUCH"); });
}

CommandKind kind_of_search(Services&, const Message& message) {
  const auto& asked = static_cast<const v1::SearchRequest&>(message);
  return touches(asked.options()) ? CommandKind::kUpdate : CommandKind::kRead;
}

CommandKind kind_of_recall(Services& services, const Message& message) {
  const auto& asked = static_cast<const v1::RecallRequest&>(message);
  const bool writes =
      touches(asked.options()) || reinforces(services.store, name_or_default(asked.collection()));
  return writes ? CommandKind::kUpdate : CommandKind::kRead;
}

template <CommandKind kKind>
CommandKind always(Services&, const Message&) {
  return kKind;
}

/// A handler of requests of one type, found by the method's name to be those that it gets.
template <class Request, void (*kHandler)(Services&, const Request&, Deferred)>
void begin(Services& services, const Message& request, Deferred reply, const Abandonment&) {
  kHandler(services, static_cast<const Request&>(request), std::move(reply));
}

template <class Request, void (*kHandler)(Services&, const Request&, Deferred, const Abandonment&)>
void begin_abandonable(Services& services, const Message& request, Deferred reply,
                       const Abandonment& abandonment) {
  kHandler(services, static_cast<const Request&>(request), std::move(reply), abandonment);
}

constexpr auto kRead = always<CommandKind::kRead>;
constexpr auto kWrite = always<CommandKind::kWrite>;
constexpr auto kUpdate = always<CommandKind::kUpdate>;

constexpr std::array kMethods = {
    GrpcMethod{"engram.v1.Engram.CreateCollection", kWrite,
               begin<v1::CreateCollectionRequest, create_collection>, true},
    GrpcMethod{"engram.v1.Engram.DropCollection", kWrite,
               begin<v1::CollectionRequest, drop_collection>},
    GrpcMethod{"engram.v1.Engram.ListCollections", kRead, begin<v1::Empty, list_collections>},
    GrpcMethod{"engram.v1.Engram.DescribeCollection", kRead,
               begin<v1::CollectionRequest, describe_collection>},
    GrpcMethod{"engram.v1.Engram.Put", kWrite, begin<v1::PutRequest, put>, true},
    GrpcMethod{"engram.v1.Engram.Get", kRead, begin<v1::KeyRequest, get>},
    GrpcMethod{"engram.v1.Engram.Delete", kUpdate, begin<v1::KeyRequest, erase>},
    GrpcMethod{"engram.v1.Engram.Search", kind_of_search,
               begin_abandonable<v1::SearchRequest, search>},
    GrpcMethod{"engram.v1.Engram.Recall", kind_of_recall,
               begin_abandonable<v1::RecallRequest, recall>},
    GrpcMethod{"engram.v1.Engram.PutStream", kWrite, begin<v1::PutRequest, put>, true},
    GrpcMethod{"engram.v1.Engram.SearchStream", kind_of_search,
               begin_abandonable<v1::SearchRequest, search>},
    GrpcMethod{"engram.v1.VectorStore.Put", kWrite, begin<v1::IdVector, put_id>, true},
    GrpcMethod{"engram.v1.VectorStore.Search", kRead,
               begin_abandonable<v1::IdSearchRequest, search_ids>},
};

}  // namespace

std::span<const GrpcMethod> grpc_methods() {
  return kMethods;
}

}  // namespace engram
