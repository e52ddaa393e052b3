// SPDX-License-Identifier: Apache-2.0
// The subcommands about single items.
#include <cstdio>
#include <string>
#include <utility>

#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"

namespace engram {
namespace {

constexpr std::size_t kKeysAtOnce = 65'536;  // each page is a pass over all keys
constexpr std::size_t kPrintBytes = 64UL * 1024;

void complain_of_missing(const Invocation& invocation, const std::string& key) {
  std::fprintf(stderr, "engram: there is no key '%s' in collection '%s'\n", printable(key).c_str(),
               printable(invocation.request.collection).c_str());
}

/// Stores the item into a collection that may not be there yet.
Result<Reply> put_item(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const bool is_asked_for = !request.index.empty() || !request.metric.empty();
  const std::size_t dim = invocation.vector.size() / sizeof(float);
  if (is_asked_for) ENGRAM_TRY(prepare_collection(invocation, dim));
  for (bool has_made_it = is_asked_for;; has_made_it = true) {
    std::optional<std::string_view> attributes;
    if (request.attributes) attributes = *request.attributes;
    std::size_t replies = post_item(invocation.client, request.collection, request.keys.front(),
                                    invocation.vector, attributes);
    auto put = invocation.client.take();
    if (!put) return put;
    for (; replies > 1; --replies) {
      auto set = invocation.client.take();
      if (!set) return set;
      if (put->kind != Reply::Kind::kError && set->kind == Reply::Kind::kError) put = set;
    }
    if (put->kind != Reply::Kind::kError) return put;
    Error error = error_of(*put);
    if (error.code != ErrorCode::kNotFound || has_made_it) return tl::unexpected(std::move(error));
    ENGRAM_TRY(make_collection(invocation, dim));
  }
}

/// The vector of CliRequest::key, or what was given.
Result<std::string> query_of(Invocation& invocation) {
  const std::string& key = invocation.request.key;
  if (key.empty()) return invocation.vector;
  auto vector = invocation.client.call({"VGET", invocation.request.collection, key});
  if (!vector) return tl::unexpected(std::move(vector.error()));
  if (!vector->is_null()) return std::move(vector->text);
  return fail(ErrorCode::kInvalidArgument, "there is no key '" + printable(key) +
                                               "' in collection '" + invocation.request.collection +
                                               "'");
}

/// Of the keys, in their order.
Result<std::vector<std::string>> attributes_of(Invocation& invocation,
                                               const std::vector<Reply>& keys) {
  std::vector<std::string> all;
  all.reserve(keys.size());
  constexpr std::size_t kAtOnce = 512;
  for (std::size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const std::size_t end = std::min(keys.size(), begin + kAtOnce);
    for (std::size_t i = begin; i < end; ++i) {
      invocation.client.post({"VGETATTR", invocation.request.collection, keys[i].text});
    }
    for (std::size_t i = begin; i < end; ++i) {
      const auto text = invocation.client.take();
      if (!text) return tl::unexpected(text.error());
      all.push_back(one_line(*text));
    }
  }
  return all;
}

void write_keys(JsonWriter& json, std::string_view name,
                const std::vector<std::string_view>& keys) {
  json.name(name).begin_array();
  for (const std::string_view key : keys) json.string(key);
  json.end_array();
}

struct Found {
  std::vector<Reply> keys = {};
  std::vector<Reply> distances = {};
  std::vector<std::string> attributes = {};  ///< empty: they are not shown
};

void print_found(Invocation& invocation, const Found& found) {
  std::string& out = invocation.out;
  if (invocation.request.json) {
    JsonWriter json(out);
    json.begin_object();
    json.name("results").begin_array();
    for (std::size_t i = 0; i < found.keys.size(); ++i) {
      json.begin_object();
      json.name("id");
      write_reply(json, found.keys[i]);
      json.name("distance");
      write_reply(json, found.distances[i]);
      if (!found.attributes.empty()) json.name("metadata").raw(found.attributes[i]);
      json.end_object();
    }
    json.end_array();
    json.end_object();
    out += '\n';
    return;
  }
  Table table({true, false, false, false});
  for (std::size_t i = 0; i < found.keys.size(); ++i) {
    std::vector<std::string> row = {std::to_string(i + 1), reply_text(found.keys[i]),
                                    reply_text(found.distances[i])};
    if (!found.attributes.empty()) row.push_back(printable(found.attributes[i]));
    table.add(std::move(row));
  }
  out += table.text();
}

}  // namespace

Result<int> insert_item(Invocation& invocation) {
  const auto put = put_item(invocation);
  if (!put) return tl::unexpected(put.error());
  const std::string& key = invocation.request.keys.front();
  const bool is_new = put->integer == 1;
  if (!invocation.request.json) {
    invocation.out += (is_new ? "inserted " : "replaced ") + printable(key) + "\n";
    return kDone;
  }
  JsonWriter json(invocation.out);
  json.begin_object();
  json.name("id").string(key);
  json.name("inserted").boolean(is_new);
  json.end_object();
  invocation.out += '\n';
  return kDone;
}

Result<int> search_items(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const auto query = query_of(invocation);
  if (!query) return tl::unexpected(query.error());
  const std::string k = std::to_string(request.k);
  Words words = {"VSEARCH", request.collection, *query, k};
  if (!request.ef.empty()) words.insert(words.end(), {"EF", request.ef});
  if (!request.share.empty()) words.insert(words.end(), {"RECALL", request.share});
  if (!request.filter.empty()) words.insert(words.end(), {"FILTER", request.filter});
  append_options(invocation, words);
  auto reply = invocation.client.call(words);
  if (!reply) return tl::unexpected(std::move(reply.error()));
  Found found;
  for (std::size_t i = 0; i + 1 < reply->items.size(); i += 2) {
    if (reply->items[i].is_null()) break;  // how far a search went that was ended early
    found.keys.push_back(std::move(reply->items[i]));
    found.distances.push_back(std::move(reply->items[i + 1]));
  }
  if (request.shows_attributes) {
    auto attributes = attributes_of(invocation, found.keys);
    if (!attributes) return tl::unexpected(std::move(attributes.error()));
    found.attributes = std::move(*attributes);
  }
  print_found(invocation, found);
  return kDone;
}

Result<int> delete_items(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  for (const std::string& key : request.keys) {
    invocation.client.post({"VDEL", request.collection, key});
  }
  std::vector<std::string_view> deleted;
  std::vector<std::string_view> missing;
  for (const std::string& key : request.keys) {
    const auto reply = invocation.client.take();
    if (!reply) return tl::unexpected(reply.error());
    if (reply->kind == Reply::Kind::kError) return tl::unexpected(error_of(*reply));
    if (reply->integer != 1) complain_of_missing(invocation, key);
    (reply->integer == 1 ? deleted : missing).push_back(key);
  }
  if (request.json) {
    JsonWriter json(invocation.out);
    json.begin_object();
    write_keys(json, "deleted", deleted);
    write_keys(json, "missing", missing);
    json.end_object();
    invocation.out += '\n';
  } else {
    for (const std::string_view key : deleted) {
      invocation.out += "deleted " + printable(key) + "\n";
    }
  }
  return missing.empty() ? kDone : kRefused;
}

Result<int> list_keys(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const auto facts = require_collection(invocation);
  if (!facts) return tl::unexpected(facts.error());
  std::string& out = invocation.out;
  JsonWriter json(out);
  if (request.json) {
    json.begin_object();
    json.name("ids").begin_array();
  }
  std::uint64_t listed = 0;
  KeyPages pages(invocation);
  for (;;) {
    const std::uint64_t left = request.limit == 0 ? kKeysAtOnce : request.limit - listed;
    if (left == 0) break;
    const auto keys = pages.next(std::min<std::uint64_t>(left, kKeysAtOnce));
    if (!keys) return tl::unexpected(keys.error());
    if (keys->empty()) break;
    for (const std::string& key : *keys) {
      if (request.json) {
        json.string(key);
      } else {
        out += printable(key) + "\n";
      }
      ++listed;
      if (out.size() >= kPrintBytes) ENGRAM_TRY(invocation.print());
    }
  }
  if (request.json) {
    json.end_array();
    json.end_object();
    out += '\n';
  }
  return kDone;
}

Result<int> get_item(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const std::string& key = request.keys.front();
  const auto vector = invocation.client.call({"VGET", request.collection, key});
  if (!vector) return tl::unexpected(vector.error());
  if (vector->is_null()) {
    complain_of_missing(invocation, key);
    return kRefused;
  }
  const auto attributes = invocation.client.call({"VGETATTR", request.collection, key});
  if (!attributes) return tl::unexpected(attributes.error());
  std::string& out = invocation.out;
  if (request.json) {
    JsonWriter json(out);
    json.begin_object();
    json.name("id").string(key);
    json.name("vector");
    write_vector(json, vector->text);
    json.name("metadata").raw(one_line(*attributes));
    json.end_object();
    out += '\n';
    return kDone;
  }
  Table table({false, false});
  table.add({"id", printable(key)});
  table.add({"vector", vector_text(vector->text)});
  if (!attributes->is_null()) table.add({"attributes", printable(one_line(*attributes))});
  out += table.text();
  return kDone;
}

Result<int> show_info(Invocation& invocation) {
  const auto facts = require_collection(invocation);
  if (!facts) return tl::unexpected(facts.error());
  if (invocation.request.json) {
    JsonWriter json(invocation.out);
    write_reply(json, *facts);
    invocation.out += '\n';
    return kDone;
  }
  Table table({false, false});
  for (std::size_t i = 0; i + 1 < facts->items.size(); i += 2) {
    table.add({facts->items[i].text, reply_text(facts->items[i + 1])});
  }
  invocation.out += table.text();
  return kDone;
}

}  // namespace engram
