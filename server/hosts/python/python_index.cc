// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/python_index.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/assert.h"
#include "core/bound.h"
#include "core/registry.h"
#include "core/top_k.h"
#include "server/hosts/python/conversions.h"
#include "server/hosts/python/python_call.h"
#include "server/hosts/python/python_recaller.h"

namespace engram::python {
namespace {

py::object value_of(const Options& options, const OptionSpec& spec) {
  if (spec.type == OptionType::kInteger) return py::int_(options.integer(spec.name));
  return py::float_(options.real(spec.name));
}

/// A worker's, from search to search.
struct Candidates {
  std::vector<Slot> slots;
  std::vector<float> scores;
};

}  // namespace

PythonIndex::PythonIndex(const Declaration& declaration, const IndexContext& context,
                         const Options& options)
    : declaration_(declaration),
      context_(context),
      options_(options),
      memory_(std::make_shared<Memory>(context_, held_)) {}

PythonIndex::~PythonIndex() {
  if (Py_IsInitialized() == 0) {
    // Nobody is left to free it.
    [[maybe_unused]] const py::handle abandoned = instance_.release();
    return;
  }
  const py::gil_scoped_acquire acquired;
  instance_ = {};
  memory_->forget_arrays();
  memory_->end();
}

Result<std::unique_ptr<Index>> PythonIndex::create(const Declaration& declaration,
                                                   const IndexContext& context,
                                                   const Options& options) {
  std::unique_ptr<PythonIndex> index(new PythonIndex(declaration, context, options));
  ENGRAM_TRY(index->prepare());
  return index;
}

Status PythonIndex::prepare() {
  ENGRAM_TRY(build());
  if (declaration_.recalls) {
    recaller_ = std::make_unique<PythonRecaller>(declaration_, context_, held_, instance_);
    return {};
  }
  auto recaller = make_default_recaller({.context = context_, .held = held_});
  if (!recaller) return tl::unexpected(std::move(recaller.error()));
  recaller_ = std::move(*recaller);
  return {};
}

/// A new instance of what is held.
Status PythonIndex::build() {
  Status built = call_python(declaration_.name, [&]() -> Status {
    py::dict values;
    for (const OptionSpec& spec : options_.schema()) {
      values[py::str(std::string(spec.name)).attr("lower")()] = value_of(options_, spec);
    }
    memory_->forget_arrays();
    instance_ = declaration_.make(memory_, values);
    const py::object insert = instance_.attr("insert");
    held_.for_each(0, Slot{kMaxSlots}, [&](Slot slot) { insert(slot); });
    return {};
  });
  if (built) {
    fault_.reset();
  } else {
    fault_ = built.error();
  }
  return built;
}

Status PythonIndex::insert(const Insertion& item, Scratch& /*scratch*/) {
  const py::gil_scoped_acquire acquired;
  if (fault_) ENGRAM_TRY(build());
  auto added = held_.insert(item.slot);
  if (!added) return tl::unexpected(std::move(added.error()));
  ENGRAM_ASSERT(*added);
  memory_->forget_arrays();
  Status inserted = call_python(declaration_.name, [&]() -> Status {
    instance_.attr("insert")(item.slot);
    return {};
  });
  if (inserted) return {};
  held_.erase(item.slot);
  memory_->forget_arrays();
  return inserted;
}

void PythonIndex::erase(Slot slot, Scratch& /*scratch*/) {
  if (!held_.contains(slot)) return;  // its insert had failed
  const py::gil_scoped_acquire acquired;
  const Status erased = call_python(declaration_.name, [&]() -> Status {
    instance_.attr("erase")(slot);
    return {};
  });
  held_.erase(slot);
  memory_->forget_arrays();
  if (!erased) static_cast<void>(build());
}

Status PythonIndex::search(Query query, const SearchParams& params, Scratch& scratch,
                           std::vector<Hit>& hits) const {
  hits.clear();
  const std::size_t k = std::min(params.k, size());
  if (k == 0) return {};
  auto& [slots, scores] = scratch.get<Candidates>();
  ENGRAM_TRY(find(query, params, k, slots));
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  if (slots.size() < k) {
    return fail(ErrorCode::kInvalidArgument, "primitive '" + declaration_.name + "' answered " +
                                                 std::to_string(slots.size()) + " slots of the " +
                                                 std::to_string(k) + " that were asked for");
  }
  scores.resize(slots.size());
  Bound(context_.kernel, query, context_.store).gather(slots, scores);
  TopK nearest(k, hits);
  nearest.offer_all(slots, scores);
  nearest.finish();
  if (params.effort != nullptr) params.effort->scored += slots.size();
  return {};
}

Status PythonIndex::find(Query query, const SearchParams& params, std::size_t k,
                         std::vector<Slot>& slots) const {
  return call_python(declaration_.name, [&]() -> Status {
    if (fault_) return tl::unexpected(*fault_);
    const auto* const components = reinterpret_cast<const float*>(query.data);
    const py::array vector = read_only(array_of<float>({components, context_.store.dim()}));
    const py::object search = instance_.attr("search");
    const py::object answer = declaration_.takes_ef && params.ef != 0
                                  ? search(vector, k, py::arg("ef") = params.ef)
                                  : search(vector, k);
    slots = slots_of(answer, held_, "the answers of search");
    return {};
  });
}

}  // namespace engram::python
