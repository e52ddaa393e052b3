// SPDX-License-Identifier: Apache-2.0
// VSEARCH and VMSEARCH. The event loop reads the arguments; a worker searches and renders the
// reply, so that a large one costs other clients nothing.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_replies.h"

namespace engram {
namespace {

/// A search on its way through the workers.
struct Search {
  std::shared_ptr<Collection> collection;
  std::vector<float> queries;  // [n * dim]
  std::size_t k = 0;
  std::size_t ef = 0;
  std::optional<Options> options;
  std::optional<Options> relaxation;  // how to recall first, if STEPS says so
};

void write_neighbors(ReplyWriter& writer, std::span<const Neighbor> neighbors) {
  writer.array(neighbors.size() * 2);
  for (const Neighbor& neighbor : neighbors) {
    writer.bulk(neighbor.key);
    writer.number(neighbor.distance);
  }
}

Result<std::vector<std::vector<Neighbor>>> run(const ReadView& view, const Search& search,
                                               std::span<const float> queries, Scratch& scratch) {
  const SearchParams params{
      .k = search.k, .ef = search.ef, .options = search.options ? &*search.options : nullptr};
  return view.search(queries, params, scratch);
}

/// EF, which every primitive takes, and the primitive's own search options.
Status read_options(std::vector<OptionText> pairs, Search& search) {
  const auto ef = take_count(pairs, "EF", 1, kMaxSlots, 0);
  if (!ef) return tl::unexpected(ef.error());
  search.ef = *ef;
  auto options = read_schema(search.collection->spec().primitive->search_options, pairs);
  if (!options) return tl::unexpected(options.error());
  search.options = std::move(*options);
  return {};
}

/// STEPS: the search starts from the state that so many steps of recall lead to.
Status read_steps(std::vector<OptionText>& pairs, Search& search) {
  constexpr std::size_t kMaxSteps = 10'000;
  const auto steps = take_count(pairs, "STEPS", 0, kMaxSteps, 0);
  if (!steps) return tl::unexpected(steps.error());
  if (*steps == 0) return {};
  const Primitive& primitive = *search.collection->spec().primitive;
  if (!primitive.traits.recalls) {
    return fail(ErrorCode::kInvalidArgument, "STEPS needs a primitive that recalls, " +
                                                 std::string(primitive.name) + " does not");
  }
  const std::string text = std::to_string(*steps);
  auto options = Options::parse(primitive.recall_options, std::vector<OptionText>{{"STEPS", text}});
  if (!options) return tl::unexpected(options.error());
  search.relaxation = std::move(*options);
  return {};
}

/// On a worker: recalls first, if the search is to start from there.
Status relax(const ReadView& view, Search& search, const SlotSet* items, Scratch& scratch) {
  if (!search.relaxation) return {};
  Recall recall;
  ENGRAM_TRY(view.recaller().recall({.vector = search.queries},
                                    {.options = &*search.relaxation, .top = 0, .items = items},
                                    scratch, recall));
  search.queries = std::move(recall.state);
  return {};
}

Status read_queries(Arguments packed_queries, std::string_view index, Search& search) {
  const std::size_t dim = search.collection->spec().dim;
  search.queries.resize(packed_queries.size() * dim);
  for (std::size_t i = 0; i < packed_queries.size(); ++i) {
    const std::span<float> query(search.queries.data() + i * dim, dim);
    ENGRAM_TRY(read_vector(packed_queries[i], index, query));
  }
  return {};
}

/// How many answers `queries` queries have.
std::size_t answers_of(const Search& search, std::size_t queries) {
  return queries * std::min(search.k, search.collection->size());
}

/// About what the reply to `queries` queries will hold, and what they take meanwhile.
std::size_t expected_bytes(const Search& search, std::size_t queries) {
  return answers_of(search, queries) * answer_bytes(*search.collection) +
         search.queries.size() * sizeof(float);
}

/// index query k [EF n] [STEPS n] [option value ...]
Result<Search> read_vsearch(CommandContext& context) {
  Search search;
  auto collection = find_collection(context, context.argv[1]);
  if (!collection) return tl::unexpected(collection.error());
  search.collection = std::move(*collection);
  ENGRAM_TRY(read_queries(context.argv.subspan(2, 1), context.argv[1], search));
  const auto k = read_count(context.argv[3], "k", 1, kMaxSlots);
  if (!k) return tl::unexpected(k.error());
  search.k = *k;
  auto pairs = read_pairs(context.argv.subspan(4));
  if (!pairs) return tl::unexpected(pairs.error());
  ENGRAM_TRY(read_steps(*pairs, search));
  ENGRAM_TRY(read_options(std::move(*pairs), search));
  ENGRAM_TRY(check_answers(answers_of(search, 1)));
  return search;
}

/// index k [EF n] query [query ...]. EF cannot be mistaken for a query: two bytes are no vector.
Result<Search> read_vmsearch(CommandContext& context) {
  Search search;
  auto collection = find_collection(context, context.argv[1]);
  if (!collection) return tl::unexpected(collection.error());
  search.collection = std::move(*collection);
  const auto k = read_count(context.argv[2], "k", 1, kMaxSlots);
  if (!k) return tl::unexpected(k.error());
  search.k = *k;
  Arguments queries = context.argv.subspan(3);
  std::vector<OptionText> pairs;
  if (equal_ignoring_case(queries[0], "EF")) {
    if (queries.size() < 3) {
      return fail(ErrorCode::kInvalidArgument, "EF takes a value, and at least one query after it");
    }
    pairs.emplace_back(queries[0], queries[1]);
    queries = queries.subspan(2);
  }
  ENGRAM_TRY(read_options(std::move(pairs), search));
  ENGRAM_TRY(check_answers(answers_of(search, queries.size())));
  ENGRAM_TRY(read_queries(queries, context.argv[1], search));
  return search;
}

/// A VMSEARCH in parts. Few of them are on their way at a time, one for each worker, so that the
/// searches of other clients get their turn between them; the last to end answers.
struct Parts {
  Search search;
  Deferred reply;
  std::size_t queries;
  std::size_t part_size;              // in queries; the last part may be smaller
  std::vector<std::string> rendered;  // one per part, in order
  std::size_t started = 0;
  std::size_t ended = 0;
  std::optional<Error> error;
};

/// On a worker.
Status search_part(const ReadView& view, Parts& parts, std::size_t part, Scratch& scratch) {
  const std::size_t dim = parts.search.collection->spec().dim;
  const std::size_t first = part * parts.part_size;
  const std::size_t count = std::min(parts.part_size, parts.queries - first);
  const auto replies =
      run(view, parts.search, {parts.search.queries.data() + first * dim, count * dim}, scratch);
  if (!replies) return tl::unexpected(replies.error());
  ReplyWriter writer(parts.rendered[part], parts.reply.version());
  for (const auto& neighbors : *replies) write_neighbors(writer, neighbors);
  return {};
}

void answer(Parts& parts) {
  std::string bytes;
  ReplyWriter writer(bytes, parts.reply.version());
  if (parts.error) {
    write_error(writer, *parts.error);
  } else {
    writer.array(parts.queries);
    for (const std::string& part : parts.rendered) bytes += part;
  }
  parts.reply.reply_rendered(std::move(bytes));
}

void start_next_part(const std::shared_ptr<Parts>& parts) {
  const std::size_t part = parts->started++;
  const auto status = std::make_shared<Status>();
  parts->search.collection->read(
      [parts, part, status](const ReadView& view, Scratch& scratch) {
        *status = search_part(view, *parts, part, scratch);
      },
      [parts, status] {
        if (!*status) parts->error = std::move(status->error());
        ++parts->ended;
        if (parts->started < parts->rendered.size()) return start_next_part(parts);
        if (parts->ended == parts->rendered.size()) answer(*parts);
      });
}

}  // namespace

void vsearch(CommandContext& context) {
  auto read = read_vsearch(context);
  if (!read) return write_error(context.reply, read.error());
  const std::size_t expected = expected_bytes(*read, 1);
  struct Pending {
    Search search;
    Deferred reply;
    std::string rendered;
  };
  const auto pending =
      std::make_shared<Pending>(Pending{std::move(*read), context.defer(expected), {}});
  const auto work = [pending](const ReadView& view, const SlotSet* items, Scratch& scratch) {
    Search& search = pending->search;
    ReplyWriter writer(pending->rendered, pending->reply.version());
    if (const Status relaxed = relax(view, search, items, scratch); !relaxed) {
      return write_error(writer, relaxed.error());
    }
    const auto replies = run(view, search, search.queries, scratch);
    if (!replies) return write_error(writer, replies.error());
    write_neighbors(writer, replies->front());
  };
  const auto done = [pending] { pending->reply.reply_rendered(std::move(pending->rendered)); };
  Collection& collection = *pending->search.collection;
  if (!pending->search.relaxation) {
    return collection.read(
        [work](const ReadView& view, Scratch& scratch) { work(view, nullptr, scratch); }, done);
  }
  const Status begun = collection.recall(work, done);
  if (begun) return;
  pending->reply.reply([&](ReplyWriter& writer) { write_error(writer, begun.error()); });
}

void vmsearch(CommandContext& context) {
  auto read = read_vmsearch(context);
  if (!read) return write_error(context.reply, read.error());
  const std::size_t workers = context.services.store.workers().size();
  const std::size_t queries = read->queries.size() / read->collection->spec().dim;
  // A batch is worth a matrix product in some primitives; but a part delays others for its length,
  // and a few parts for each worker keep them all busy to the end.
  constexpr std::size_t kLargestPart = 64;
  const std::size_t part_size = std::clamp<std::size_t>(queries / (workers * 2), 1, kLargestPart);
  const std::size_t count = (queries + part_size - 1) / part_size;
  const std::size_t expected = expected_bytes(*read, queries);
  const auto parts = std::make_shared<Parts>(Parts{.search = std::move(*read),
                                                   .reply = context.defer(expected),
                                                   .queries = queries,
                                                   .part_size = part_size,
                                                   .rendered = std::vector<std::string>(count),
                                                   .error = std::nullopt});
  for (std::size_t i = 0; i < std::min(workers, count); ++i) start_next_part(parts);
}

}  // namespace engram
