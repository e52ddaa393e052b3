// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/invocation.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "core/text.h"
#include "server/hosts/cli/output.h"

namespace engram {
namespace {

/// The first words of the other form of VADD.
bool is_vadd_word(std::string_view key) noexcept {
  return equal_ignoring_case(key, "FP32") || equal_ignoring_case(key, "VALUES") ||
         equal_ignoring_case(key, "REDUCE");
}

std::string_view trimmed(std::string_view text) noexcept {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// Refuses a collection that is not what a flag asks for.
Status check_fact(const Invocation& invocation, const Reply& facts, std::string_view name,
                  std::string_view wanted) {
  const Reply* const fact = facts.find(name);
  const std::string found = fact == nullptr ? "" : reply_text(*fact);
  if (wanted.empty() || equal_ignoring_case(found, wanted)) return {};
  return fail(ErrorCode::kInvalidArgument, "collection '" + invocation.request.collection +
                                               "' is there and has the " + std::string(name) + " " +
                                               found + ", not " + std::string(wanted));
}

}  // namespace

Status Invocation::print() {
  const std::size_t written = std::fwrite(out.data(), 1, out.size(), stdout);
  const bool is_written = written == out.size() && std::fflush(stdout) == 0;
  out.clear();
  if (is_written) return {};
  return fail(ErrorCode::kIo, "cannot write to the standard output");
}

Result<std::string> packed_vector(std::string_view text) {
  std::string packed;
  std::string_view rest = trimmed(text);
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view word = trimmed(rest.substr(0, comma));
    const auto number = parse_number<float>(word);
    if (!number) {
      return fail(ErrorCode::kInvalidArgument,
                  "a vector is numbers with commas between, as 1.0,2.0,3.0; got '" +
                      printable(word.substr(0, 40)) + "' among them");
    }
    packed.append(reinterpret_cast<const char*>(&*number), sizeof(float));
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
  return packed;
}

void append_options(const Invocation& invocation, Words& words) {
  for (const std::string& option : invocation.request.options) {
    const std::string_view text = option;
    const std::size_t equals = text.find('=');
    words.push_back(text.substr(0, equals));
    words.push_back(text.substr(equals + 1));
  }
}

Result<std::optional<Reply>> find_collection(Invocation& invocation) {
  auto facts = invocation.client.call({"VINFO", invocation.request.collection});
  if (!facts) return tl::unexpected(std::move(facts.error()));
  if (facts->is_null()) return std::optional<Reply>();
  return std::optional<Reply>(std::move(*facts));
}

Result<Reply> require_collection(Invocation& invocation) {
  auto facts = find_collection(invocation);
  if (!facts) return tl::unexpected(std::move(facts.error()));
  if (!*facts) return fail(ErrorCode::kNotFound, {});
  return std::move(**facts);
}

Status prepare_collection(Invocation& invocation, std::size_t dim) {
  const CliRequest& request = invocation.request;
  const auto facts = find_collection(invocation);
  if (!facts) return tl::unexpected(facts.error());
  if (!*facts) return make_collection(invocation, dim);
  ENGRAM_TRY(check_fact(invocation, **facts, "primitive", request.index));
  ENGRAM_TRY(check_fact(invocation, **facts, "metric", request.metric));
  const Reply* const known = (*facts)->find("vector-dim");
  if (known == nullptr || known->integer == static_cast<std::int64_t>(dim)) return {};
  return fail(ErrorCode::kInvalidArgument,
              "vectors of " + std::to_string(dim) + " dimensions do not go into collection '" +
                  request.collection + "', which has " + std::to_string(known->integer));
}

Status make_collection(Invocation& invocation, std::size_t dim) {
  const CliRequest& request = invocation.request;
  const std::string dimensions = std::to_string(dim);
  Words words = {"VNEW", request.collection, dimensions};
  if (!request.metric.empty()) words.insert(words.end(), {"METRIC", request.metric});
  if (!request.index.empty()) words.insert(words.end(), {"PRIMITIVE", request.index});
  append_options(invocation, words);
  const auto made = invocation.client.call(words);
  const bool is_there = !made && made.error().message.ends_with("already exists");
  if (made || is_there) return {};
  return tl::unexpected(made.error());
}

std::size_t post_item(CommandClient& client, std::string_view collection, std::string_view key,
                      std::string_view packed, const std::optional<std::string_view>& attributes) {
  if (!attributes) {
    client.post({"VMADD", collection, key, packed});
    return 1;
  }
  if (!is_vadd_word(key)) {
    client.post({"VADD", collection, key, packed, "SETATTR", *attributes});
    return 1;
  }
  client.post({"VMADD", collection, key, packed});
  client.post({"VSETATTR", collection, key, *attributes});
  return 2;
}

Result<std::vector<std::string>> KeyPages::next(std::size_t count) {
  std::vector<std::string> keys;
  if (ended_) return keys;
  const std::string most = std::to_string(count);
  auto page =
      invocation_.client.call({"VRANGE", invocation_.request.collection, start_, "+", most});
  if (!page) return tl::unexpected(std::move(page.error()));
  keys.reserve(page->items.size());
  for (Reply& key : page->items) keys.push_back(std::move(key.text));
  ended_ = keys.size() < count;
  if (!keys.empty()) start_ = "(" + keys.back();
  return keys;
}

void write_reply(JsonWriter& json, const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kNull:
    case Reply::Kind::kError:
      return json.null();
    case Reply::Kind::kText:
      return json.string(reply.text);
    case Reply::Kind::kInteger:
      return json.integer(reply.integer);
    case Reply::Kind::kReal: {
      const auto number = parse_number<double>(reply.text);
      return number ? json.number(*number) : json.null();
    }
    case Reply::Kind::kBoolean:
      return json.boolean(reply.integer != 0);
    case Reply::Kind::kArray:
      json.begin_array();
      for (const Reply& item : reply.items) write_reply(json, item);
      return json.end_array();
    case Reply::Kind::kMap:
      break;
  }
  json.begin_object();
  for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) {
    json.name(reply.items[i].text);
    write_reply(json, reply.items[i + 1]);
  }
  json.end_object();
}

std::string reply_text(const Reply& reply) {
  if (reply.kind == Reply::Kind::kNull) return "none";
  if (reply.kind == Reply::Kind::kText || reply.kind == Reply::Kind::kReal) {
    return printable(reply.text);
  }
  if (reply.kind == Reply::Kind::kBoolean) return reply.integer != 0 ? "yes" : "no";
  std::string text;
  JsonWriter json(text);
  write_reply(json, reply);
  return text;
}

std::string one_line(const Reply& attributes) {
  if (attributes.is_null()) return "null";
  // Between the tokens of JSON line breaks are spaces, and elsewhere there are none.
  std::string text = attributes.text;
  for (char& byte : text) {
    if (byte == '\n' || byte == '\r') byte = ' ';
  }
  return text;
}

}  // namespace engram
