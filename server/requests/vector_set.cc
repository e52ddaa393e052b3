// SPDX-License-Identifier: Apache-2.0
#include "server/requests/vector_set.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/registry.h"
#include "server/durability/change.h"
#include "server/engine/attributes.h"
#include "server/requests/put.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::size_t kMostEfConstruction = 10'000;

bool has_option(const IndexSpec& spec, std::string_view name) {
  const auto schema = spec.options.schema();
  return std::any_of(schema.begin(), schema.end(),
                     [name](const OptionSpec& option) { return option.name == name; });
}

Element element_of(const IndexSpec& spec) {
  if (!has_option(spec, "QUANT")) return Element::kF32;
  return element_from_name(spec.options.choice("QUANT")).value_or(Element::kF32);
}

bool has_m(const IndexSpec& spec, std::size_t m) {
  return has_option(spec, "M") && static_cast<std::size_t>(spec.options.integer("M")) == m;
}

tl::unexpected<Error> wrong_dimension(std::size_t got, std::size_t has) {
  return fail(ErrorCode::kInvalidArgument, "Vector dimension mismatch - got " +
                                               std::to_string(got) + " but set has " +
                                               std::to_string(has));
}

tl::unexpected<Error> wrong_input(std::size_t got, const Projection& projection) {
  return fail(ErrorCode::kInvalidArgument, "Input dimension mismatch for projection - got " +
                                               std::to_string(got) + " but projection expects " +
                                               std::to_string(projection.from()));
}

/// Whether the request may go into the set that is there, as Redis asks it.
Status check_fit(const IndexRef& set, const SetPutRequest& request) {
  const IndexSpec& spec = set.spec();
  if (request.element_type && *request.element_type != element_of(spec)) {
    return fail(ErrorCode::kInvalidArgument,
                "asked quantization mismatch with existing vector set");
  }
  if (request.m && !has_m(spec, *request.m)) {
    return fail(ErrorCode::kInvalidArgument, "asked M value mismatch with existing vector set");
  }
  const auto& projection = set.collection->set().projection;
  const std::size_t dim = request.vector.size();
  if (projection == nullptr) {
    if (dim != spec.dim) return wrong_dimension(dim, spec.dim);
    if (!request.reduce) return {};
    return fail(ErrorCode::kInvalidArgument,
                "cannot add projection to existing set without projection");
  }
  if (request.reduce != spec.dim) return wrong_dimension(dim, spec.dim);
  if (dim != projection->from()) return wrong_input(dim, *projection);
  return {};
}

/// A set that is in no keyspace yet.
Result<IndexRef> make_set(Store& store, const SetPutRequest& request) {
  const std::uint64_t id = store.keyspace().take_collection_id();
  VectorSet set = {.is_auto = true};
  if (request.reduce) {
    auto projection = Projection::create(request.vector.size(), *request.reduce, id);
    if (!projection) return tl::unexpected(std::move(projection.error()));
    set.projection = std::move(*projection);
  }
  const auto hnsw = find_primitive("hnsw");
  if (!hnsw) return tl::unexpected(hnsw.error());
  // As small as its name says: whoever wants the vectors beside their codes says VNEW. But of signs
  // alone so little could be told apart that vectors stay beside them.
  const Element element = request.element_type.value_or(Element::kSq8);
  std::vector<OptionText> words = {{"QUANT", element_name(element)},
                                   {"RERANK", element == Element::kBin ? "f32" : "none"}};
  const std::string m = std::to_string(request.m.value_or(0));
  if (request.m) words.emplace_back("M", m);
  const std::string ef = std::to_string(std::min(request.ef.value_or(0), kMostEfConstruction));
  if (request.ef) words.emplace_back("EF_CONSTRUCTION", ef);
  auto options = Options::parse((*hnsw)->create_options, words);
  if (!options) return tl::unexpected(std::move(options.error()));
  auto collection = Collection::create({.dim = request.reduce.value_or(request.vector.size()),
                                        .metric = Metric::kCosine,
                                        .primitive = *hnsw,
                                        .options = std::move(*options),
                                        .kernel_name = store.kernel_name()},
                                       {.workers = store.workers(),
                                        .id = id,
                                        .hash_seed = random_seed(),
                                        .sink = store.keyspace().change_sink(),
                                        .all = &store.series(),
                                        .set = std::move(set)});
  if (!collection) return tl::unexpected(std::move(collection.error()));
  return IndexRef{std::string(request.set), std::move(*collection)};
}

}  // namespace

void start(Store& store, const SetPutRequest& request, const Responder<bool>& responder) {
  // Before the set is made: a refused put leaves none behind.
  if (request.attributes && !request.attributes->empty()) {
    const Status checked = check_attributes(*request.attributes);
    if (!checked) return responder.refuse(checked.error());
  }
  const bool is_new = !store.keyspace().contains(request.set);
  auto set = is_new ? make_set(store, request) : find_index(store, request.set);
  if (!set) return responder.refuse(set.error());
  if (!is_new) {
    if (const Status fits = check_fit(*set, request); !fits) {
      return responder.refuse(fits.error());
    }
  }
  PutRequest put(*set);
  put.attributes = request.attributes;
  if (const Status added = put.add(request.element, request.vector); !added) {
    return responder.refuse(added.error());
  }
  if (is_new) store.keyspace().set(request.set, std::shared_ptr(set->collection));
  start(store, put,
        Responder<std::size_t>{.take =
                                   [responder](const Result<std::size_t>& added) {
                                     if (!added) {
                                       responder.take(tl::unexpected(added.error()));
                                     } else {
                                       responder.take(*added == 1);
                                     }
                                   },
                               .finish = responder.finish});
}

Status check_set_dimension(const IndexRef& set, std::size_t dim) {
  const auto& projection = set.collection->set().projection;
  const bool fits = dim == set.spec().dim || (projection != nullptr && dim == projection->from());
  if (fits) return {};
  if (projection != nullptr) return wrong_input(dim, *projection);
  return wrong_dimension(dim, set.spec().dim);
}

namespace {

/// A bit for each component above 0, in whole words of 64.
std::string packed_signs(std::span<const float> values) {
  constexpr std::size_t kWord = 64;
  std::string bytes((values.size() + kWord - 1) / kWord * sizeof(std::uint64_t), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] > 0) bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << (i % 8));
  }
  return bytes;
}

}  // namespace

RawVector raw_vector(const IndexRef& set, std::span<const float> vector) {
  double square = 0;
  for (const float component : vector) square += double{component} * double{component};
  RawVector raw = {.type = "f32", .norm = std::sqrt(square)};
  const double scale = raw.norm == 0 ? 0 : 1 / raw.norm;
  std::vector<float> unit(vector.size());
  double range = 0;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    unit[i] = static_cast<float>(double{vector[i]} * scale);
    range = std::max(range, std::abs(double{unit[i]}));
  }
  const Element element = element_of(set.spec());
  if (element == Element::kBin) {
    raw.type = "bin";
    raw.bytes = packed_signs(vector);
    return raw;
  }
  if (element != Element::kSq8) {
    raw.bytes = packed(unit);
    return raw;
  }
  raw.type = "int8";
  raw.range = range;
  constexpr double kMostCode = 127;
  for (const float component : unit) {
    const double code = range == 0 ? 0 : std::round(double{component} / range * kMostCode);
    raw.bytes.push_back(static_cast<char>(static_cast<std::int8_t>(code)));
  }
  return raw;
}

}  // namespace engram
