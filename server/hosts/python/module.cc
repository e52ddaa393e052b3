// SPDX-License-Identifier: Apache-2.0
// engramdb._engine: an EmbeddedStore as Python sees it. The classes that people use are written in
// Python, on top of this; engramdb/_engine.pyi has its types.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <type_traits>

#include "server/hosts/python/conversions.h"
#include "server/hosts/python/declarations.h"
#include "server/hosts/python/engine_server.h"
#include "server/hosts/python/python_call.h"
#include "server/requests/shown.h"
#include "server/runtime/log.h"

namespace engram::python {
namespace {

constexpr float kNoDistance = std::numeric_limits<float>::quiet_NaN();

py::dict facts_of(const std::vector<Fact>& facts) {
  py::dict dict;
  for (const Fact& fact : facts) dict[py::str(fact.name)] = fact.value;
  return dict;
}

py::dict recollection_of(const EmbeddedStore::Recollection& given) {
  const Recall& recall = given.recall;
  std::vector<double> weights;
  weights.reserve(recall.support.size());
  for (const Share& share : recall.support) weights.push_back(share.weight);
  py::dict dict;
  dict["state"] = array_of<float>(recall.state);
  dict["attractor"] = key_or_none(given.attractor);
  dict["weight"] = recall.attractor ? recall.attractor->weight : 0.0;
  dict["distance"] = recall.attractor ? py::object(py::float_(recall.distance)) : py::none();
  dict["onestep"] = key_or_none(given.onestep);
  dict["posterior"] = recall.onestep ? recall.onestep->weight : 0.0;
  dict["entropy"] = recall.entropy;
  dict["kind"] = kRecallKindNames[static_cast<std::size_t>(recall.kind)];
  dict["outside"] = recall.outside;
  dict["effective_count"] = recall.effective_count;
  dict["support"] = key_list(given.support);
  dict["weights"] = array_of<double>(weights);
  dict["energies"] = array_of<double>(recall.energies);
  dict["steps"] = recall.steps;
  dict["converged"] = recall.converged;
  dict["novel"] = recall.novel;
  dict["truncated"] = recall.truncated;
  dict["exact"] = recall.exact;
  dict["beta"] = recall.beta;
  return dict;
}

py::dict consolidated_of(const EmbeddedStore::Consolidated& given) {
  py::list groups;
  for (const EmbeddedStore::Group& group : given.groups) {
    py::dict dict;
    dict["key"] = key_object(group.key);
    dict["strength"] = group.strength;
    dict["radius"] = group.radius;
    dict["variance"] = group.variance;
    dict["members"] = key_list(group.members);
    groups.append(dict);
  }
  py::dict dict;
  dict["items"] = given.items;
  dict["members"] = given.members;
  dict["dropped"] = given.dropped;
  dict["beta"] = given.beta;
  dict["lower"] = given.bounds ? py::object(py::float_(given.bounds->lower)) : py::none();
  dict["upper"] = given.bounds ? py::object(py::float_(given.bounds->upper)) : py::none();
  dict["groups"] = groups;
  return dict;
}

/// One for each key, or none.
std::vector<std::optional<std::string>> attribute_texts(py::handle given, std::size_t keys) {
  if (given.is_none()) return {};
  auto texts = given.cast<std::vector<std::optional<std::string>>>();
  if (texts.size() == keys) return texts;
  raise({ErrorCode::kInvalidArgument, "expected attributes for each of " + std::to_string(keys) +
                                          " keys, got " + std::to_string(texts.size())});
}

FsyncPolicy policy_of(const std::string& name) {
  if (name == "always") return FsyncPolicy::kAlways;
  if (name == "everysec") return FsyncPolicy::kEverySec;
  if (name == "no") return FsyncPolicy::kNo;
  raise({ErrorCode::kInvalidArgument,
         "fsync must be always, everysec or no, got '" + shown(name) + "'"});
}

/// Rises in the child of a process that forks: of its threads the child has one.
std::atomic<std::uint64_t> forks = 0;

void count_forks() {
  [[maybe_unused]] const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
}

/// Calls of different threads run beside each other.
class EngineStore {
 public:
  EngineStore(const std::string& directory, std::size_t workers, const std::string& fsync) {
    EmbeddedStore::Settings settings;
    settings.store.directory = directory;
    settings.store.workers = workers;
    settings.store.fsync = policy_of(fsync);
    store_ = value_of(without_gil([&] { return EmbeddedStore::open(settings); }));
  }
  ~EngineStore() {
    const GilRelease released;
    if (!is_of_this_process()) {
      // Its threads are not here to be waited for.
      [[maybe_unused]] EmbeddedStore* const abandoned = store_.release();
    }
    store_.reset();
  }
  EngineStore(const EngineStore&) = delete;
  EngineStore& operator=(const EngineStore&) = delete;

  void close() {
    check(run([&] { return store_->close(); }));
  }
  void save(const std::string& directory) {
    check(run([&] {
      // Where this fails, saving does, and says why.
      std::error_code ignored;
      if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
      return store_->save(directory);
    }));
  }

  /// rows_file: empty, or with rows_begin as EmbeddedStore::create_index_of_file takes it.
  void create(const std::string& index, std::size_t dim, const Words& words,
              const std::string& rows_file, std::size_t rows_begin) {
    check(run([&] {
      const auto options = options_of(words);
      return rows_file.empty()
                 ? store_->create_index(index, dim, options)
                 : store_->create_index_of_file(index, dim, {rows_file, rows_begin}, options);
    }));
  }
  void drop(const std::string& index) {
    check(run([&] { return store_->drop_index(index); }));
  }
  py::list names() {
    return key_list(value_of(run([&] { return store_->list_indexes(); })));
  }
  py::dict info(const std::string& index) {
    return facts_of(value_of(run([&] { return store_->describe_index(index); })));
  }
  std::size_t size(const std::string& index) {
    return value_of(run([&] { return store_->size(index); }));
  }
  bool contains(const std::string& index, py::handle key) {
    const std::string_view bytes = bytes_of(key);
    return value_of(run([&] { return store_->contains(index, bytes); }));
  }
  py::list keys(const std::string& index) {
    return key_list(value_of(run([&] { return store_->keys(index); })));
  }

  std::size_t put(const std::string& index, py::handle key_sequence, py::handle array,
                  py::handle attributes, const Words& words) {
    const Keys keys(key_sequence);
    const Rows rows(array);
    const auto texts = attribute_texts(attributes, keys.views().size());
    if (rows.count() != keys.views().size()) {
      raise({ErrorCode::kInvalidArgument, "expected a vector for each of " +
                                              std::to_string(keys.views().size()) + " keys, got " +
                                              std::to_string(rows.count())});
    }
    return value_of(run([&] {
      std::vector<EmbeddedStore::Item> items;
      items.reserve(rows.count());
      for (std::size_t i = 0; i < rows.count(); ++i) {
        items.push_back({.key = keys.views()[i], .vector = rows.row(i)});
        if (!texts.empty()) items.back().attributes = texts[i];
      }
      return store_->put(index, items, options_of(words));
    }));
  }
  py::object put_unless(const std::string& index, py::handle key, py::handle vector, float within,
                        const Words& words) {
    const std::string_view bytes = bytes_of(key);
    const Rows rows(vector);
    const auto row = rows.single();
    return key_or_none(value_of(
        run([&] { return store_->put_unless(index, bytes, row, within, options_of(words)); })));
  }
  std::size_t erase(const std::string& index, py::handle key_sequence) {
    const Keys keys(key_sequence);
    return value_of(run([&]() -> Result<std::size_t> {
      std::size_t count = 0;
      for (const std::string_view key : keys.views()) {
        const auto erased = store_->erase(index, key);
        if (!erased) return tl::unexpected(erased.error());
        count += *erased ? 1 : 0;
      }
      return count;
    }));
  }
  /// [n, dim], and which of them are there.
  py::tuple get(const std::string& index, py::handle key_sequence) {
    const Keys keys(key_sequence);
    const auto rows = value_of(run([&] { return store_->get(index, keys.views()); }));
    py::array_t<float> values({rows.found.size(), rows.dim}, rows.values.data());
    return py::make_tuple(std::move(values), rows.found);
  }

  py::object attributes(const std::string& index, py::handle key) {
    const std::string_view bytes = bytes_of(key);
    const auto text = value_of(run([&] { return store_->attributes(index, bytes); }));
    return text ? py::object(py::str(*text)) : py::none();
  }
  bool set_attributes(const std::string& index, py::handle key, const std::string& text) {
    const std::string_view bytes = bytes_of(key);
    return value_of(run([&] { return store_->set_attributes(index, bytes, text); }));
  }

  std::vector<std::optional<double>> touch(const std::string& index, py::handle key_sequence,
                                           const Words& words) {
    const Keys keys(key_sequence);
    return value_of(run([&] { return store_->touch(index, keys.views(), options_of(words)); }));
  }
  py::object strength(const std::string& index, py::handle key, const Words& words) {
    const std::string_view bytes = bytes_of(key);
    const auto answer =
        value_of(run([&] { return store_->strength(index, bytes, options_of(words)); }));
    if (!answer) return py::none();
    py::dict dict;
    dict["strength"] = answer->strength;
    dict["bias"] = answer->bias;
    dict["at_ms"] = answer->at_ms;
    dict["is_pinned"] = answer->is_pinned;
    dict["half_life_ms"] = answer->half_life_ms;
    dict["stability_ms"] = answer->stability_ms;
    return dict;
  }
  py::list forget(const std::string& index, double below, const Words& words, bool is_dry_run) {
    return key_list(
        value_of(run([&] { return store_->forget(index, below, options_of(words), is_dry_run); })));
  }
  py::dict consolidate(const std::string& index, const Words& words, bool is_dry_run) {
    return consolidated_of(
        value_of(run([&] { return store_->consolidate(index, options_of(words), is_dry_run); })));
  }

  /// Keys and distances: of one query those that were found, of n queries [n, k] with None and NaN
  /// where fewer were.
  py::tuple search(const std::string& index, py::handle queries, std::size_t k,
                   const Words& words) {
    const Rows rows(queries);
    if (!rows.is_single()) return search_batch(index, rows, k, words);
    const auto matches =
        value_of(run([&] { return store_->search(index, rows.row(0), k, options_of(words)); }));
    py::list keys(matches.size());
    py::array_t<float> distances(static_cast<py::ssize_t>(matches.size()));
    for (std::size_t i = 0; i < matches.size(); ++i) {
      keys[i] = key_object(matches[i].key);
      distances.mutable_data()[i] = matches[i].distance;
    }
    return py::make_tuple(std::move(keys), std::move(distances));
  }

  py::dict recall(const std::string& index, py::handle cue, const Words& words) {
    const Rows rows(cue);
    const auto row = rows.single();
    return recollection_of(
        value_of(run([&] { return store_->recall(index, row, options_of(words)); })));
  }
  double energy(const std::string& index, py::handle state, const Words& words) {
    const Rows rows(state);
    const auto row = rows.single();
    return value_of(run([&] { return store_->energy(index, row, options_of(words)); }));
  }
  py::dict tune(const std::string& index, const Words& words) {
    const auto tuning = value_of(run([&] { return store_->tune(index, options_of(words)); }));
    py::dict dict;
    for (const auto& [name, value] : tuning) dict[py::str(name)] = value;
    return dict;
  }
  py::dict diagnose(const std::string& index, const Words& words) {
    return facts_of(value_of(run([&] { return store_->diagnose(index, options_of(words)); })));
  }

 private:
  [[nodiscard]] bool is_of_this_process() const noexcept { return born_ == forks.load(); }

  /// without_gil(), unless the store has stayed in another process, or may be waiting for who asks.
  template <class Work>
  std::invoke_result_t<Work> run(Work work) {
    if (is_in_primitive()) {
      raise({ErrorCode::kUnsupported, "a method of a primitive cannot ask a store"});
    }
    if (!is_of_this_process()) {
      raise(
          {ErrorCode::kUnsupported, "the store belongs to the process that this one forked from"});
    }
    return without_gil(work);
  }

  py::tuple search_batch(const std::string& index, const Rows& rows, std::size_t k,
                         const Words& words) {
    const auto answers = value_of(run([&] {
      return store_->search_batch(index, {rows.all(), rows.size()}, k, options_of(words));
    }));
    std::size_t width = 0;
    for (const auto& matches : answers) width = std::max(width, matches.size());
    py::list keys(answers.size());
    py::array_t<float> distances({answers.size(), width});
    float* distance = distances.mutable_data();
    for (std::size_t i = 0; i < answers.size(); ++i) {
      py::list row(width);
      for (std::size_t j = 0; j < width; ++j) {
        const bool is_there = j < answers[i].size();
        row[j] = is_there ? key_object(answers[i][j].key) : py::none();
        *distance++ = is_there ? answers[i][j].distance : kNoDistance;
      }
      keys[i] = std::move(row);
    }
    return py::make_tuple(std::move(keys), std::move(distances));
  }

  const std::uint64_t born_ = forks.load();
  std::unique_ptr<EmbeddedStore> store_;
};

}  // namespace
}  // namespace engram::python

PYBIND11_MODULE(_engine, module) {
  using engram::python::EngineStore;
  engram::python::count_forks();
  engram::open_log("engramdb");
  engram::set_log_level("warning");
  engram::python::bind_primitives(module);
  engram::python::bind_server(module);
  pybind11::class_<EngineStore>(module, "EngineStore")
      .def(pybind11::init<const std::string&, std::size_t, const std::string&>())
      .def("close", &EngineStore::close)
      .def("save", &EngineStore::save)
      .def("create", &EngineStore::create, pybind11::arg("name"), pybind11::arg("dim"),
           pybind11::arg("words"), pybind11::arg("rows_file") = "", pybind11::arg("rows_begin") = 0)
      .def("drop", &EngineStore::drop)
      .def("names", &EngineStore::names)
      .def("info", &EngineStore::info)
      .def("size", &EngineStore::size)
      .def("contains", &EngineStore::contains)
      .def("keys", &EngineStore::keys)
      .def("put", &EngineStore::put)
      .def("put_unless", &EngineStore::put_unless)
      .def("erase", &EngineStore::erase)
      .def("get", &EngineStore::get)
      .def("attributes", &EngineStore::attributes)
      .def("set_attributes", &EngineStore::set_attributes)
      .def("touch", &EngineStore::touch)
      .def("strength", &EngineStore::strength)
      .def("forget", &EngineStore::forget)
      .def("consolidate", &EngineStore::consolidate)
      .def("search", &EngineStore::search)
      .def("recall", &EngineStore::recall)
      .def("energy", &EngineStore::energy)
      .def("tune", &EngineStore::tune)
      .def("diagnose", &EngineStore::diagnose);
}
