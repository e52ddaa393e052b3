// SPDX-License-Identifier: Apache-2.0
// Searches, singly and in batches: VSEARCH or VMSEARCH finds keys, and what else is wanted of them
// is read where they are.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/registry.h"
#include "core/text.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/durability/change.h"
#include "server/hosts/router/http_asking.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/requests/answer_size.h"
#include "server/requests/checked_vectors.h"

namespace engram::router {
namespace {

constexpr std::size_t kMostRead = 10'000;  // results whose metadata or vectors are read
constexpr std::size_t kFraming = 128;      // of a result
constexpr std::string_view kPartial = "partial";

/// What stands in a row of an answer.
struct Found {
  std::string_view id;  ///< in the reply
  float distance = 0;
  std::optional<float> raw = {};
  std::optional<double> strength = {};
};

struct Searching {
  HttpAskingPtr asking;
  std::string index;
  GivenSearch given = {};
  std::vector<std::vector<float>> queries = {};
  bool is_batch = false;
  bool is_partial = false;
  LayoutPtr layout = {};
  Reply reply = {};                            ///< of the search
  std::vector<std::vector<Found>> found = {};  ///< of each query
  std::map<std::string, std::string, std::less<>> attributes = {};
  std::map<std::string, std::vector<float>, std::less<>> vectors = {};
};
using SearchingPtr = std::shared_ptr<Searching>;

/// Reads a body that has no other fields than those of a search.
Status read_search(const JsonObject& body, Searching& search) {
  std::vector<JsonValue> values;
  if (search.is_batch) {
    auto queries = read_given_queries(body);
    if (!queries) return tl::unexpected(queries.error());
    values = std::move(*queries);
  } else {
    const auto value = body.require("vector", "an array of numbers");
    if (!value) return tl::unexpected(value.error());
    values.push_back(*value);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto vector = read_vector(values[i], search.is_batch ? place_in_batch(i) : "vector");
    if (!vector) return tl::unexpected(std::move(vector.error()));
    search.queries.push_back(std::move(*vector));
  }
  auto given = read_given_search(body);
  if (!given) return tl::unexpected(std::move(given.error()));
  search.given = std::move(*given);
  const auto partial = body.flag(kPartial, false);
  if (!partial) return tl::unexpected(partial.error());
  search.is_partial = *partial;
  return {};
}

Status check_search(const Searching& search, const Layout& layout) {
  for (std::size_t i = 0; i < search.queries.size(); ++i) {
    const Status checked = check_vector_of(layout.index, layout.dim, search.queries[i]);
    if (checked) continue;
    return fail(checked.error().code,
                "'" + (search.is_batch ? place_in_batch(i) : std::string("vector")) +
                    "': " + checked.error().message);
  }
  const auto primitive = find_primitive(layout.primitive);
  if (search.given.is_exact && !(primitive && (*primitive)->traits.exact)) {
    return fail(ErrorCode::kUnsupported, "'exact' is for a server by itself: index '" +
                                             layout.index + "' is of " + layout.primitive +
                                             ", and partitions search as that does");
  }
  return {};
}

void append_options(const Searching& search, std::vector<std::string>& argv) {
  constexpr double kMostRadius = std::numeric_limits<float>::max();
  const GivenSearch& given = search.given;
  const auto add = [&argv](std::string_view name, std::string value) {
    argv.emplace_back(name);
    argv.push_back(std::move(value));
  };
  if (given.ef != 0) add("EF", std::to_string(given.ef));
  if (given.recall) add("RECALL", number_text(*given.recall));
  // Nothing lies farther than a float32 can say.
  if (given.radius && *given.radius <= kMostRadius) {
    add("RADIUS", number_text(std::max(*given.radius, -kMostRadius)));
  }
  if (given.filter) add("FILTER", *given.filter);
  if (given.at_ms) add("AT", std::to_string(*given.at_ms));
  if (given.with_raw) argv.emplace_back("WITHRAW");
  if (given.with_strength) argv.emplace_back("WITHSTRENGTH");
  if (search.is_partial) argv.emplace_back("PARTIAL");
}

std::vector<std::string> command_of(const Searching& search) {
  const std::string k = std::to_string(search.given.k);
  std::vector<std::string> argv;
  if (!search.is_batch) {
    argv = {"vsearch", search.index, std::string(packed(search.queries.front())), k};
    append_options(search, argv);
    return argv;
  }
  argv = {"vmsearch", search.index, k};
  append_options(search, argv);
  for (const auto& query : search.queries) argv.emplace_back(packed(query));
  return argv;
}

/// The rows of one query. Errors: an error that it has, and kDataLoss for what are no rows.
Result<std::vector<Found>> rows_of(const Reply& rows, const GivenSearch& given) {
  const std::size_t stride = 2 + std::size_t{given.with_raw} + std::size_t{given.with_strength};
  if (rows.is_error()) return fail(ErrorCode::kInvalidArgument, rows.error_text());
  if (!rows.is_array() || rows.items.size() % stride != 0) {
    return fail(ErrorCode::kDataLoss, "a search was answered by what are no results");
  }
  std::vector<Found> found;
  for (std::size_t i = 0; i < rows.items.size(); i += stride) {
    const Reply* const row = &rows.items[i];
    const auto distance = parse_number<float>(row[1].text);
    if (!distance) return fail(ErrorCode::kDataLoss, "a result has no distance");
    Found one = {.id = row[0].text, .distance = *distance};
    if (given.with_raw) one.raw = parse_number<float>(row[2].text).value_or(0);
    if (given.with_strength) {
      one.strength = parse_number<double>(row[stride - 1].text).value_or(0);
    }
    found.push_back(one);
  }
  return found;
}

Status take_rows(Searching& search) {
  const Reply* const results = search.is_partial ? search.reply.find("results") : &search.reply;
  const bool has_all = results != nullptr && results->is_array() &&
                       (!search.is_batch || results->items.size() == search.queries.size());
  if (!has_all) return fail(ErrorCode::kDataLoss, "a search was answered by what are no results");
  for (std::size_t i = 0; i < search.queries.size(); ++i) {
    auto rows = rows_of(search.is_batch ? results->items[i] : *results, search.given);
    if (!rows) return tl::unexpected(std::move(rows.error()));
    search.found.push_back(std::move(*rows));
  }
  return {};
}

std::size_t bytes_of(const Searching& search) {
  std::size_t bytes = 0;
  for (const auto& rows : search.found) {
    for (const Found& row : rows) {
      const auto attributes = search.attributes.find(row.id);
      bytes += row.id.size() + kFraming;
      if (attributes != search.attributes.end()) bytes += attributes->second.size();
      if (search.given.with_vectors) bytes += search.layout->dim * kJsonNumberBytes;
    }
  }
  return bytes;
}

void write_rows(JsonWriter& json, const Searching& search, const std::vector<Found>& rows) {
  json.begin_array();
  for (const Found& row : rows) {
    ShownResult result = {
        .id = row.id, .distance = row.distance, .raw = row.raw, .strength = row.strength};
    if (search.given.with_metadata) result.attributes = search.attributes.find(row.id)->second;
    if (search.given.with_vectors) result.vector = search.vectors.find(row.id)->second;
    write_result(json, result);
  }
  json.end_array();
}

void answer_search(const Searching& search) {
  if (const Status checked = check_answer_bytes(bytes_of(search), "k"); !checked) {
    return search.asking->answer_error(checked.error());
  }
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("results");
  if (search.is_batch) json.begin_array();
  for (const auto& rows : search.found) write_rows(json, search, rows);
  if (search.is_batch) json.end_array();
  if (search.is_partial) {
    for (const std::string_view name : {"ok", "total", "epoch"}) {
      const Reply* const count = search.reply.find(name);
      json.name(name).integer(count != nullptr ? count->integer : 0);
    }
  }
  json.end_object();
  search.asking->answer(std::move(response));
}

/// What has been read of an item, which may have gone since it was found.
void take_item(Searching& search, const std::string& id, const Reply& read, bool is_vector) {
  if (!is_vector) {
    search.attributes[id] = read.text;
    return;
  }
  std::vector<float>& vector = search.vectors[id];
  if (read.text.size() != search.layout->dim * sizeof(float)) return;
  vector.resize(search.layout->dim);
  std::memcpy(vector.data(), read.text.data(), read.text.size());
}

/// Reads metadata and vectors of what was found.
void read_items(const SearchingPtr& search) {
  struct Read {
    std::string id;
    bool is_vector;
  };
  std::set<std::string_view> ids;
  for (const auto& rows : search->found) {
    for (const Found& row : rows) ids.insert(row.id);
  }
  if (ids.size() > kMostRead) {
    return search->asking->answer_error(
        {ErrorCode::kInvalidArgument,
         "a router reads metadata and vectors of at most " + std::to_string(kMostRead) +
             " results, these are " + std::to_string(ids.size()) +
             ": lower 'k', or set 'include_metadata' and 'include_vectors' to false"});
  }
  std::vector<Read> reads;
  std::vector<PartCommand> commands;
  const auto read = [&](std::string_view id, bool is_vector) {
    const std::size_t home = partition_of(id, search->layout->partitions);
    reads.push_back({std::string(id), is_vector});
    commands.push_back({home, part_command(*search->layout, home, is_vector ? "VGET" : "VGETATTR",
                                           {"", "", std::string(id)})});
  };
  for (const std::string_view id : ids) {
    if (search->given.with_metadata) read(id, false);
    if (search->given.with_vectors) read(id, true);
  }
  if (commands.empty()) return answer_search(*search);
  const CallPtr call = call_for(
      search->asking, {"vgetattr", search->index}, false, [search](const Result<Reply>& done) {
        done ? answer_search(*search) : search->asking->answer_error(done.error());
      });
  const auto again = [search](const CallPtr&, const LayoutPtr& other) {
    search->layout = other;
    read_items(search);
  };
  scatter(call, search->layout, std::move(commands), {}, again,
          [search, call, reads = std::move(reads)](std::vector<Part>& parts) {
            if (answer_failure(call, *search->layout, parts)) return;
            for (std::size_t i = 0; i < parts.size(); ++i) {
              take_item(*search, reads[i].id, parts[i].reply, reads[i].is_vector);
            }
            call->answer_ok();
          });
}

void run(const SearchingPtr& search) {
  carry_out_or_fail(search->asking, command_of(*search), [search](const Reply& reply) {
    search->reply = reply;
    if (const Status taken = take_rows(*search); !taken) {
      return search->asking->answer_error(taken.error());
    }
    const bool reads = search->given.with_metadata || search->given.with_vectors;
    reads ? read_items(search) : answer_search(*search);
  });
}

void begin(const HttpAskingPtr& asking, const MatchedRequest& request, bool is_batch) {
  constexpr auto kFields = search_fields("vector");
  constexpr auto kBatchFields = search_fields("vectors");
  const auto& fields = is_batch ? kBatchFields : kFields;
  std::vector<std::string_view> known(fields.begin(), fields.end());
  known.push_back(kPartial);
  JsonBody body;
  const auto object = body.read(request.request, known);
  if (!object) return asking->answer_error(object.error());
  const auto search = std::make_shared<Searching>(Searching{
      .asking = asking, .index = std::string(collection_name(request)), .is_batch = is_batch});
  // A collection that is not there is what is wrong first.
  const Status read = read_search(*object, *search);
  with_layout_for(
      asking, search->index,
      [search, read](const Layout& layout) { return read ? check_search(*search, layout) : read; },
      [search](const LayoutPtr& layout) {
        search->layout = layout;
        run(search);
      });
}

}  // namespace

void http_search(const HttpAskingPtr& asking, const MatchedRequest& request) {
  begin(asking, request, false);
}

void http_search_batch(const HttpAskingPtr& asking, const MatchedRequest& request) {
  begin(asking, request, true);
}

}  // namespace engram::router
