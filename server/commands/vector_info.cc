// SPDX-License-Identifier: Apache-2.0
// What there is: VINFO of an index, VPRIMITIVES of the program.
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_facts.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/index_info.h"

namespace engram {
namespace {

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
  writer.map(7);
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
  writer.simple("decays");
  writer.boolean(traits.takes_bias);
  writer.simple("order-dependent");
  writer.boolean(traits.order_dependent);
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
  Store& store = context.services.store;
  if (!store.keyspace().contains(context.argv[1])) return context.reply.null_array();
  auto index = find_index(store, context.argv[1]);
  if (!index) return write_error(context.reply, index.error());
  start(store, InfoRequest{std::move(*index)}, respond<std::vector<Fact>>(context, 0, write_facts));
}

void vprimitives(CommandContext& context) {
  const auto all = primitives();
  context.reply.array(all.size());
  for (const Primitive* const primitive : all) write_primitive(context.reply, *primitive);
}

}  // namespace engram
