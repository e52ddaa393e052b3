// SPDX-License-Identifier: Apache-2.0
// What there is: VINFO of an index, VPRIMITIVES of the program.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/registry.h"
#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_replies.h"
#include "server/engine/keyspace.h"

namespace engram {
namespace {

std::string fact_or(const std::vector<Fact>& facts, std::string_view name, std::string fallback) {
  for (const Fact& fact : facts) {
    if (fact.name == name) return fact.value;
  }
  return fallback;
}

/// EF_CONSTRUCTION as ef-construction, the way VINFO spells names.
std::string fact_name(std::string_view option) {
  std::string name = to_lower(option);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// The names that Redis's vector sets have come first and in their order; 0 where this index has no
/// such thing. Then what engram knows, how the index recalls (its beta comes before the option's,
/// which may be 0), the primitive's options, and its own facts.
InfoMap describe(const Collection& collection, const std::vector<Fact>& facts,
                 const std::vector<Fact>& recaller_facts, std::size_t index_bytes) {
  const CollectionSpec& spec = collection.spec();
  InfoMap map;
  map.add("quant-type", fact_or(facts, "quant-type", "f32"));
  map.add("hnsw-m", fact_or(facts, "hnsw-m", "0"));
  map.add("vector-dim", spec.dim);
  map.add("projection-input-dim", std::size_t{0});
  map.add("size", collection.size());
  map.add("max-level", fact_or(facts, "max-level", "0"));
  map.add("attributes-count", std::size_t{0});
  map.add("vset-uid", collection.id());
  map.add("hnsw-max-node-uid", collection.slots());
  map.add("primitive", std::string(spec.primitive->name));
  map.add("metric", std::string(metric_name(spec.metric)));
  map.add("kernel", std::string(collection.kernel_name()));
  const std::size_t bytes = collection.memory_bytes() + index_bytes;
  map.add("memory-bytes", bytes);
  map.add("index-bytes", index_bytes);
  map.add("bytes-per-item", collection.size() == 0 ? 0 : bytes / collection.size());
  for (const Fact& fact : recaller_facts) map.add(fact.name, fact.value);
  for (std::size_t i = 0; i < spec.options.schema().size(); ++i) {
    map.add(fact_name(spec.options.schema()[i].name), spec.options.text(i));
  }
  for (const Fact& fact : facts) map.add(fact.name, fact.value);
  return map;
}

void write_option(ReplyWriter& writer, const OptionSpec& option, std::string_view command) {
  writer.map(6);
  writer.simple("name");
  writer.bulk(option.name);
  writer.simple("command");
  writer.bulk(command);
  writer.simple("type");
  writer.bulk(option.type_name());
  writer.simple("range");
  writer.bulk(option.range());
  writer.simple("default");
  writer.bulk(option.default_text());
  writer.simple("help");
  writer.bulk(option.help);
}

void write_traits(ReplyWriter& writer, const Traits& traits) {
  writer.map(5);
  writer.simple("exact");
  writer.boolean(traits.exact);
  writer.simple("concurrent");
  writer.boolean(traits.concurrent);
  writer.simple("deferred-reclaim");
  writer.boolean(traits.deferred_reclaim);
  writer.simple("saves-structure");
  writer.boolean(traits.saves_structure);
  writer.simple("recalls");
  writer.boolean(traits.recalls);
}

void write_primitive(ReplyWriter& writer, const Primitive& primitive) {
  writer.map(6);
  writer.simple("name");
  writer.bulk(primitive.name);
  writer.simple("summary");
  writer.bulk(primitive.summary);
  writer.simple("source");
  writer.bulk(primitive.source);
  writer.simple("traits");
  write_traits(writer, primitive.traits);
  writer.simple("max-dimension");
  writer.integer(static_cast<std::int64_t>(primitive.max_dimension));
  writer.simple("options");
  writer.array(primitive.create_options.size() + primitive.search_options.size() +
               primitive.recall_options.size());
  for (const OptionSpec& option : primitive.create_options) write_option(writer, option, "VNEW");
  for (const OptionSpec& option : primitive.search_options) write_option(writer, option, "VSEARCH");
  for (const OptionSpec& option : primitive.recall_options) write_option(writer, option, "VRECALL");
}

}  // namespace

void vinfo(CommandContext& context) {
  if (!context.services.store.keyspace().contains(context.argv[1])) return context.reply.null_array();
  const auto found = find_collection(context, context.argv[1]);
  if (!found) return write_error(context.reply, found.error());
  struct Pending {
    std::shared_ptr<Collection> collection;
    Deferred reply;
    std::vector<Fact> facts;
    std::vector<Fact> recaller_facts;
    std::size_t index_bytes;
  };
  const auto pending = std::make_shared<Pending>(Pending{*found, context.defer(), {}, {}, 0});
  pending->collection->read(
      [pending](const ReadView& view, Scratch&) {
        pending->facts = view.index().describe();
        pending->recaller_facts = view.describe_recaller();
        pending->index_bytes = view.index().memory_bytes();
      },
      [pending] {
        const InfoMap map = describe(*pending->collection, pending->facts, pending->recaller_facts,
                                     pending->index_bytes);
        pending->reply.reply([&](ReplyWriter& writer) { map.write(writer); });
      });
}

void vprimitives(CommandContext& context) {
  const auto all = primitives();
  context.reply.array(all.size());
  for (const Primitive* const primitive : all) write_primitive(context.reply, *primitive);
}

}  // namespace engram
