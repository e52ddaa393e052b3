// SPDX-License-Identifier: Apache-2.0
// The commands of Redis 8's vector sets over single elements, and VSIM. Errors are Redis's.
#include "server/commands/vector_sets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "core/row.h"
#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/answer_size.h"
#include "server/requests/put.h"
#include "server/requests/search.h"
#include "server/requests/similarity.h"
#include "server/requests/vector_set.h"

namespace engram {
namespace {

constexpr std::string_view kBadVector = "invalid vector specification";
constexpr std::size_t kMostEf = 1'000'000;

tl::unexpected<Error> refuse(std::string_view sentence) {
  return fail(ErrorCode::kInvalidArgument, std::string(sentence));
}

/// The whole number between those that `word` says.
std::optional<std::size_t> read_count(std::string_view word, std::size_t least, std::size_t most) {
  const auto count = parse_number<std::size_t>(word);
  if (!count || *count < least || *count > most) return std::nullopt;
  return count;
}

Result<std::vector<float>> unpack(std::string_view blob) {
  const std::size_t dim = blob.size() / sizeof(float);
  if (dim < 1 || dim > kMaxDimension || blob.size() % sizeof(float) != 0) return refuse(kBadVector);
  std::vector<float> vector(dim);
  std::memcpy(vector.data(), blob.data(), blob.size());
  return vector;
}

/// Takes FP32 blob or VALUES n x1 ... xn off the front of `words`.
Result<std::vector<float>> take_set_vector(Arguments& words) {
  Result<std::vector<float>> vector = refuse(kBadVector);
  if (words.size() >= 2 && equal_ignoring_case(words[0], "FP32")) {
    vector = unpack(words[1]);
    words = words.subspan(2);
  } else if (!words.empty() && equal_ignoring_case(words[0], "VALUES")) {
    const auto taken = take_vector(words);
    if (taken) vector = read_numbers(taken->numbers);
  }
  if (!vector || !std::all_of(vector->begin(), vector->end(),
                              [](float component) { return std::isfinite(component); })) {
    return refuse(kBadVector);
  }
  return vector;
}

/// [CAS] [NOQUANT | Q8 | BIN] [SETATTR json] [EF ef] [M links], in any order.
Status read_add_options(Arguments words, SetPutRequest& request) {
  while (!words.empty()) {
    const std::string_view word = words[0];
    const bool has_value = words.size() > 1;
    words = words.subspan(1);
    if (equal_ignoring_case(word, "CAS")) continue;  // every insert looks for neighbors on a worker
    if (equal_ignoring_case(word, "NOQUANT")) {
      request.element_type = Element::kF32;
    } else if (equal_ignoring_case(word, "Q8")) {
      request.element_type = Element::kSq8;
    } else if (equal_ignoring_case(word, "BIN")) {
      request.element_type = Element::kBin;
    } else if (has_value && equal_ignoring_case(word, "SETATTR")) {
      request.attributes = words[0];
      words = words.subspan(1);
    } else if (has_value && equal_ignoring_case(word, "EF")) {
      request.ef = read_count(words[0], 1, kMostEf);
      if (!request.ef) return refuse("invalid EF");
      words = words.subspan(1);
    } else if (has_value && equal_ignoring_case(word, "M")) {
      request.m = read_count(words[0], kLeastSetM, kMostSetM);
      if (!request.m) return refuse("invalid M");
      words = words.subspan(1);
    } else {
      return refuse("invalid option after element");
    }
  }
  return {};
}

/// set [REDUCE dim] (FP32 blob | VALUES n x1 ... xn) element [option ...]
Result<SetPutRequest> read_set_add(CommandContext& context) {
  SetPutRequest request = {.set = context.argv[1]};
  Arguments words = context.argv.subspan(2);
  if (words.size() > 2 && equal_ignoring_case(words[0], "REDUCE")) {
    request.reduce = read_count(words[1], 1, kMaxDimension);
    if (!request.reduce) return refuse(kBadVector);
    words = words.subspan(2);
  }
  auto vector = take_set_vector(words);
  if (!vector) return tl::unexpected(std::move(vector.error()));
  request.vector = std::move(*vector);
  if (request.reduce.value_or(0) > request.vector.size()) return refuse(kBadVector);
  if (words.empty()) return refuse("wrong number of arguments for 'VADD' command");
  request.element = words[0];
  ENGRAM_TRY(read_add_options(words.subspan(1), request));
  return request;
}

/// What a VSIM is to answer of each element, and up to where.
struct SimilarityFields {
  bool scores = false;
  bool attributes = false;
  double epsilon = std::numeric_limits<double>::infinity();

  [[nodiscard]] bool is_both() const noexcept { return scores && attributes; }
};

/// Takes ELE element, FP32 blob or VALUES n x1 ... xn off the front of `words`.
Status take_set_query(Arguments& words, SearchRequest& request) {
  if (equal_ignoring_case(words[0], "ELE")) {
    if (!request.queries.add_stored(request.index, words[1])) {
      return refuse("element not found in set");
    }
    words = words.subspan(2);
    return {};
  }
  const auto vector = take_set_vector(words);
  if (!vector) return tl::unexpected(vector.error());
  ENGRAM_TRY(check_set_dimension(request.index, vector->size()));
  return request.queries.add(request.index, std::span<const float>(*vector));
}

/// One option with its value; false if there is none of that name.
Result<bool> read_valued_option(std::string_view name, std::string_view value,
                                SearchRequest& request, SimilarityFields& fields) {
  constexpr std::size_t kAny = std::numeric_limits<std::int64_t>::max();
  if (equal_ignoring_case(name, "COUNT")) {
    const auto count = read_count(value, 1, kAny);
    if (!count) return refuse("invalid COUNT");
    request.k = std::min(*count, kNeighborCount.maximum);
  } else if (equal_ignoring_case(name, "EF")) {
    const auto ef = read_count(value, 1, kMostEf);
    if (!ef) return refuse("invalid EF");
    request.ef = *ef;
  } else if (equal_ignoring_case(name, "FILTER")) {
    request.filters.clear();  // the last counts
    if (const Status added = FilterAdder(request.filters).add(value, 0); !added) {
      return tl::unexpected(added.error());
    }
  } else if (equal_ignoring_case(name, "FILTER-EF")) {
    const auto nodes = read_count(value, 1, kAny);
    if (!nodes) return refuse("invalid FILTER-EF");
    request.filter_ef = std::min(*nodes, std::size_t{kMaxSlots});
  } else if (equal_ignoring_case(name, "EPSILON")) {
    const auto epsilon = parse_number<double>(value);
    if (!epsilon || !(*epsilon > 0)) return refuse("invalid EPSILON");
    fields.epsilon = *epsilon;
  } else {
    return false;
  }
  return true;
}

Status read_similarity_options(Arguments words, SearchRequest& request, SimilarityFields& fields) {
  while (!words.empty()) {
    const std::string_view word = words[0];
    words = words.subspan(1);
    if (equal_ignoring_case(word, "WITHSCORES")) {
      fields.scores = true;
    } else if (equal_ignoring_case(word, "WITHATTRIBS")) {
      fields.attributes = true;
      request.strength.fields.attributes = true;
    } else if (equal_ignoring_case(word, "TRUTH")) {
      request.truth = true;
    } else if (!equal_ignoring_case(word, "NOTHREAD")) {  // there is no search on the loop
      const auto known =
          words.empty() ? Result<bool>(false) : read_valued_option(word, words[0], request, fields);
      if (!known) return tl::unexpected(known.error());
      if (!*known) return refuse("syntax error in VSIM command");
      words = words.subspan(1);
    }
  }
  return {};
}

/// Of several fields RESP2 has one after the other, RESP3 an array for each element.
void begin_similar(ReplyWriter& writer, std::size_t count, const SimilarityFields& fields) {
  if (!fields.scores && !fields.attributes) return writer.array(count);
  if (!fields.is_both() || writer.version() == RespVersion::kResp3) return writer.map(count);
  writer.array(3 * count);
}

/// Or an error, if they are too large. On a worker.
void write_similar(ReplyWriter& writer, Metric metric, std::span<const Neighbor> neighbors,
                   const SimilarityFields& fields) {
  constexpr std::size_t kScoreAndFraming = 48;
  const auto end = std::find_if(neighbors.begin(), neighbors.end(), [&](const Neighbor& neighbor) {
    return !is_within(metric, neighbor.distance, fields.epsilon);
  });
  neighbors = {neighbors.begin(), end};
  std::size_t bytes = 0;
  for (const Neighbor& neighbor : neighbors) {
    bytes += neighbor.key.size() + neighbor.attributes.size() + kScoreAndFraming;
  }
  if (const Status checked = check_answer_bytes(bytes, "COUNT"); !checked) {
    return write_error(writer, checked.error());
  }
  writer.expect(bytes);
  begin_similar(writer, neighbors.size(), fields);
  const bool is_nested = fields.is_both() && writer.version() == RespVersion::kResp3;
  for (const Neighbor& neighbor : neighbors) {
    writer.bulk(neighbor.key);
    if (is_nested) writer.array(2);
    if (fields.scores) writer.number(similarity(metric, neighbor.distance));
    if (!fields.attributes) continue;
    neighbor.attributes.empty() ? writer.null() : writer.bulk(neighbor.attributes);
  }
}

}  // namespace

bool is_set_add(Arguments argv) {
  if (argv.size() < 5) return false;
  constexpr std::array<std::string_view, 3> kWords = {"FP32", "VALUES", "REDUCE"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return equal_ignoring_case(argv[2], word); });
}

void vadd_to_set(CommandContext& context) {
  const auto request = read_set_add(context);
  if (!request) return write_error(context.reply, request.error());
  start(context.services.store, *request,
        respond<bool>(context, row_bytes(request->vector.size()),
                      [](ReplyWriter& writer, bool is_new) { writer.boolean(is_new); }));
}

Result<std::optional<IndexRef>> find_set(CommandContext& context) {
  Store& store = context.services.store;
  if (store.keyspace().look(context.argv[1]) == nullptr) return std::nullopt;
  auto set = find_index(store, context.argv[1]);
  if (!set) return tl::unexpected(std::move(set.error()));
  return std::move(*set);
}

void vsim(CommandContext& context) {
  auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return context.reply.array(0);
  SearchRequest request = {.index = std::move(**set)};
  SimilarityFields fields;
  Arguments words = context.argv.subspan(2);
  Status read = take_set_query(words, request);
  if (read) read = read_similarity_options(words, request, fields);
  if (!read) return write_error(context.reply, read.error());
  const std::size_t expected = expected_bytes(request);
  const Metric metric = request.index.spec().metric;
  start(context.services.store, std::move(request),
        respond<SearchAnswer>(context, expected,
                              [metric, fields](ReplyWriter& writer, const SearchAnswer& answer) {
                                write_similar(writer, metric, answer.neighbors.front(), fields);
                              }));
}

void vrem(CommandContext& context) {
  auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return context.reply.boolean(false);
  start(
      context.services.store, EraseRequest{std::move(**set), context.argv[2]},
      respond<bool>(context, 0, [](ReplyWriter& writer, bool erased) { writer.boolean(erased); }));
}

void vcard(CommandContext& context) {
  const auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  context.reply.integer(*set ? static_cast<std::int64_t>((*set)->collection->size()) : 0);
}

void vdim(CommandContext& context) {
  const auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return context.reply.error("ERR key does not exist");
  context.reply.integer(static_cast<std::int64_t>((*set)->spec().dim));
}

void vismember(CommandContext& context) {
  const auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  context.reply.boolean(*set && (*set)->collection->contains(context.argv[2]));
}

void vemb(CommandContext& context) {
  const bool is_raw = context.argv.size() > 3;
  for (const std::string_view word : context.argv.subspan(3)) {
    if (!equal_ignoring_case(word, "RAW")) return context.reply.error("ERR invalid option");
  }
  const auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  const auto vector = *set ? (*set)->collection->get(context.argv[2]) : std::nullopt;
  if (!vector) return context.reply.null();
  if (const Status sound = (*set)->check_soundness(); !sound) {
    return write_error(context.reply, sound.error());
  }
  if (!is_raw) {
    context.reply.array(vector->size());
    for (const float component : *vector) context.reply.number(component);
    return;
  }
  const RawVector raw = raw_vector(**set, *vector);
  context.reply.array(raw.range ? 4 : 3);
  context.reply.simple(raw.type);
  context.reply.bulk(raw.bytes);
  context.reply.number(raw.norm);
  if (raw.range) context.reply.number(*raw.range);
}

}  // namespace engram
