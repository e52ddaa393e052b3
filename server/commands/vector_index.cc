// SPDX-License-Identifier: Apache-2.0
// Commands over indexes as a whole.
#include <string>
#include <vector>

#include "core/registry.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::string_view kDefaultMetric = "cosine";
constexpr std::string_view kDefaultPrimitive = "hnsw";

Result<Metric> read_metric(std::string_view name) {
  const auto metric = metric_from_name(name);
  if (metric) return *metric;
  return fail(ErrorCode::kInvalidArgument,
              "unknown metric '" + shown(name) + "', expected cosine, l2 or dot");
}

/// VNEW's arguments after the index: dim [METRIC m] [PRIMITIVE p] [option value ...]
Result<CollectionSpec> read_spec(Arguments arguments, std::string kernel_name) {
  const auto dim = read_count(arguments[0], "dimension", 1, kMaxDimension);
  if (!dim) return tl::unexpected(dim.error());
  auto pairs = read_pairs(arguments.subspan(1));
  if (!pairs) return tl::unexpected(pairs.error());
  const auto metric_name = take_pair(*pairs, "METRIC");
  if (!metric_name) return tl::unexpected(metric_name.error());
  const auto primitive_name = take_pair(*pairs, "PRIMITIVE");
  if (!primitive_name) return tl::unexpected(primitive_name.error());
  const auto metric = read_metric(metric_name->value_or(kDefaultMetric));
  if (!metric) return tl::unexpected(metric.error());
  const auto primitive = find_primitive(primitive_name->value_or(kDefaultPrimitive));
  if (!primitive) return tl::unexpected(primitive.error());
  auto options = Options::parse((*primitive)->create_options, *pairs);
  if (!options) return tl::unexpected(options.error());
  return CollectionSpec{*dim, *metric, *primitive, std::move(*options), std::move(kernel_name)};
}

}  // namespace

void vnew(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  const std::string_view name = context.argv[1];
  if (const Value* const existing = keyspace.peek(name)) {
    if (std::holds_alternative<std::string>(*existing)) return context.reply.error(kWrongTypeError);
    return context.reply.error("ERR index '" + shown(name) + "' already exists");
  }
  auto spec = read_spec(context.argv.subspan(2), context.services.config.kernel);
  if (!spec) return write_error(context.reply, spec.error());
  auto collection = Collection::create(std::move(*spec), {.workers = context.services.store.workers(),
                                                          .id = keyspace.take_collection_id(),
                                                          .hash_seed = random_seed(),
                                                          .sink = keyspace.change_sink()});
  if (!collection) return write_error(context.reply, collection.error());
  keyspace.set(name, std::move(*collection));
  context.reply.ok();
}

void vdrop(CommandContext& context) {
  const auto collection = find_any_collection(context, context.argv[1]);
  if (!collection) return write_error(context.reply, collection.error());
  context.services.store.keyspace().erase(context.argv[1]);
  context.reply.ok();
}

void vlist(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  const auto& all = keyspace.collection_names();
  std::vector<std::string> names(all.begin(), all.end());  // asking may remove an expired one
  std::erase_if(names, [&](const std::string& name) { return !keyspace.contains(name); });
  context.reply.array(names.size());
  for (const std::string& name : names) context.reply.bulk(name);
}

}  // namespace engram
