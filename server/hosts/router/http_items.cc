// SPDX-License-Identifier: Apache-2.0
// Vectors of a collection, singly and in batches: each goes to the partition of its id.
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "core/text.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/doors/http/vector_batch.h"
#include "server/durability/change.h"
#include "server/engine/attributes.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/http_asking.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/requests/checked_vectors.h"
#include "server/requests/put.h"

namespace engram::router {
namespace {

constexpr std::int64_t kLongestMakingMs = 1000;

struct Item {
  std::string id;
  std::vector<float> vector;
  std::optional<std::string> metadata;  ///< see GivenVector
};

struct Putting {
  HttpAskingPtr asking;
  std::string index;
  std::vector<Item> items;
  bool is_batch;
};
using PuttingPtr = std::shared_ptr<Putting>;

/// As the engine checks them.
Status check_items(const Putting& putting, const Layout& layout) {
  for (std::size_t i = 0; i < putting.items.size(); ++i) {
    const Item& item = putting.items[i];
    Status checked = check_item_key(item.id);
    if (checked) checked = check_vector_of(layout.index, layout.dim, item.vector);
    if (checked) continue;
    if (!putting.is_batch) return checked;
    return fail(checked.error().code, "'" + place_in_batch(i) + "': " + checked.error().message);
  }
  return {};
}

void answer_put(const Putting& putting, std::int64_t created) {
  putting.asking->answer(putting.is_batch ? answer_stored_batch(putting.items.size(),
                                                                static_cast<std::size_t>(created))
                                          : answer_stored(putting.items.front().id, created == 1));
}

std::vector<std::string> words_of(const std::string& index, const Item& item) {
  std::vector<std::string> words = {"vadd", index, item.id, std::string(packed(item.vector))};
  if (item.metadata) words.insert(words.end(), {"SETATTR", *item.metadata});
  return words;
}

/// One of each id: the last vector, with the last that was said of its metadata. Commands to one
/// partition may overtake each other.
std::vector<Item> last_of_each(const std::vector<Item>& items) {
  std::vector<Item> last;
  std::map<std::string_view, std::size_t> places;
  for (const Item& item : items) {
    const auto [found, is_new] = places.emplace(item.id, last.size());
    if (is_new) {
      last.push_back(item);
      continue;
    }
    Item& before = last[found->second];
    before.vector = item.vector;
    if (item.metadata) before.metadata = item.metadata;
  }
  return last;
}

void put_items(const PuttingPtr& putting) {
  const HttpAskingPtr& asking = putting->asking;
  const std::vector<Item>& items = putting->items;
  const OnReply stored = [putting](const Reply& reply) { answer_put(*putting, reply.integer); };
  if (!putting->is_batch) {
    return carry_out_or_fail(asking, words_of(putting->index, items.front()), stored);
  }
  bool has_metadata = false;
  for (const Item& item : items) has_metadata = has_metadata || item.metadata.has_value();
  if (has_metadata) {  // VMADD has none, so each item goes by itself
    const CallPtr call = call_for(asking, {"vmadd", putting->index}, true,
                                  [asking, stored](const Result<Reply>& reply) {
                                    reply ? stored(*reply) : asking->answer_error(reply.error());
                                  });
    std::vector<std::vector<std::string>> writes;
    for (const Item& item : last_of_each(items)) writes.push_back(words_of(putting->index, item));
    return add_each(call, std::move(writes));
  }
  std::vector<std::string> argv = {"vmadd", putting->index};
  for (Item& item : putting->items) {
    argv.push_back(item.id);
    argv.emplace_back(packed(item.vector));
    item.vector = {};
  }
  carry_out_or_fail(asking, std::move(argv), stored);
}

void put_checked(const PuttingPtr& putting) {
  with_layout_for(
      putting->asking, putting->index,
      [putting](const Layout& layout) { return check_items(*putting, layout); },
      [putting](const LayoutPtr&) { put_items(putting); });
}

void put_into_default(const PuttingPtr& putting, std::int64_t until_ms);

/// As the first insert finds it.
void make_default(const PuttingPtr& putting, std::int64_t until_ms) {
  const ServerConfig& config = putting->asking->config;
  // What is refused makes nothing.
  Layout wanted;
  wanted.index = putting->index;
  wanted.dim = putting->items.front().vector.size();
  if (const Status checked = check_items(*putting, wanted); !checked) {
    return putting->asking->answer_error(checked.error());
  }
  carry_out(putting->asking,
            {"vnew", putting->index, std::to_string(putting->items.front().vector.size()), "METRIC",
             config.http_metric, "PRIMITIVE", config.http_primitive},
            [putting, until_ms](const Result<Reply>& made) {
              // Another client, or another router, may have been first.
              const bool may_be_there = made || (made.error().code == ErrorCode::kAlreadyExists &&
                                                 steady_ms() < until_ms);
              may_be_there ? put_into_default(putting, until_ms)
                           : putting->asking->answer_error(made.error());
            });
}

/// Looks again while somebody else makes it, until `until_ms`.
void put_into_default(const PuttingPtr& putting, std::int64_t until_ms) {
  putting->asking->services.layouts.find(
      putting->index, false, [putting, until_ms](const Result<LayoutPtr>& found) {
        if (!found && found.error().code == ErrorCode::kNotFound) {
          return make_default(putting, until_ms);
        }
        const bool is_being_made = found && (*found)->state == Layout::State::kMaking;
        is_being_made&& steady_ms() < until_ms ? put_into_default(putting, until_ms)
                                               : put_checked(putting);
      });
}

void put(const HttpAskingPtr& asking, const MatchedRequest& request, std::vector<Item> items,
         bool is_batch) {
  const auto putting = std::make_shared<Putting>(
      Putting{asking, std::string(collection_name(request)), std::move(items), is_batch});
  if (putting->index != kDefaultCollection) return put_checked(putting);
  put_into_default(putting, steady_ms() + kLongestMakingMs);
}

Item item_of(GivenVector&& given) {
  return {std::string(given.id), std::move(given.vector), std::move(given.metadata)};
}

Result<std::vector<Item>> read_packed(const HttpRequest& request) {
  auto batch = VectorBatch::read(request.body);
  if (!batch) return tl::unexpected(std::move(batch.error()));
  std::vector<Item> items(batch->size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const VectorBatch::Item given = batch->next();
    items[i].id = given.id;
    items[i].vector.resize(batch->dim());
    std::memcpy(items[i].vector.data(), given.vector.data(), given.vector.size());
    if (!given.metadata) continue;
    items[i].metadata = *given.metadata;
    if (given.metadata->empty()) continue;
    if (const Status checked = check_attributes(*given.metadata); !checked) {
      return fail(checked.error().code, "'" + place_in_batch(i) + "': " + checked.error().message);
    }
  }
  return items;
}

Result<std::vector<Item>> read_json(const HttpRequest& request) {
  JsonBody body;
  auto all = read_given_vectors(request, body);
  if (!all) return tl::unexpected(std::move(all.error()));
  std::vector<Item> items;
  items.reserve(all->size());
  for (GivenVector& given : *all) items.push_back(item_of(std::move(given)));
  return items;
}

/// Asks for the vector of an id and for its attributes.
void get_both(const CallPtr& call, const LayoutPtr& layout) {
  const std::size_t home = partition_of(call->argv[2], layout->partitions);
  const std::vector<std::string> words = {"", "", call->argv[2]};
  scatter(call, layout,
          {{home, part_command(*layout, home, "VGET", words)},
           {home, part_command(*layout, home, "VGETATTR", words)}},
          {}, get_both, [call, layout](std::vector<Part>& parts) {
            if (answer_failure(call, *layout, parts)) return;
            call->answer([&](ReplyWriter& writer) {
              writer.array(2);
              for (const Part& part : parts) {
                part.reply.is_null() ? writer.null() : writer.bulk(part.reply.text);
              }
            });
          });
}

}  // namespace

void http_insert(const HttpAskingPtr& asking, const MatchedRequest& request) {
  JsonBody body;
  auto given = read_given_vector(request.request, body);
  if (!given) return asking->answer_error(given.error());
  std::vector<Item> items;
  items.push_back(item_of(std::move(*given)));
  put(asking, request, std::move(items), false);
}

void http_insert_batch(const HttpAskingPtr& asking, const MatchedRequest& request) {
  const bool is_packed = equal_ignoring_case(request.request.media_type(), kBinaryType);
  auto items = is_packed ? read_packed(request.request) : read_json(request.request);
  if (!items) return asking->answer_error(items.error());
  put(asking, request, std::move(*items), true);
}

void http_get(const HttpAskingPtr& asking, const MatchedRequest& request) {
  const std::string id(request.path_value("id"));
  with_layout(call_for(asking, {"vget", std::string(collection_name(request)), id}, false,
                       [asking, id](const Result<Reply>& reply) {
                         if (!reply) return asking->answer_error(reply.error());
                         const Reply& vector = reply->items[0];
                         if (vector.is_null()) return asking->answer_error(no_such_vector(id));
                         std::vector<float> values(vector.text.size() / sizeof(float));
                         std::memcpy(values.data(), vector.text.data(),
                                     values.size() * sizeof(float));
                         asking->answer(answer_vector(id, values, reply->items[1].text));
                       }),
              get_both);
}

void http_erase(const HttpAskingPtr& asking, const MatchedRequest& request) {
  const std::string id(request.path_value("id"));
  carry_out_or_fail(asking, {"vdel", std::string(collection_name(request)), id},
                    [asking, id](const Reply& reply) {
                      if (reply.integer == 0) return asking->answer_error(no_such_vector(id));
                      asking->answer(answer_deleted(id));
                    });
}

}  // namespace engram::router
