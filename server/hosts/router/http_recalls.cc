// SPDX-License-Identifier: Apache-2.0
// What the memory makes of a cue, and the energy of a state: VRECALL and VENERGY.
#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "core/recall.h"
#include "core/text.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/durability/change.h"
#include "server/hosts/router/http_asking.h"
#include "server/requests/checked_vectors.h"
#include "server/requests/shown.h"

namespace engram::router {
namespace {

Error malformed() {
  return {ErrorCode::kDataLoss, "a recall was answered by what is no recall"};
}

double real_of(const Reply& reply) {
  return parse_number<double>(reply.text).value_or(0);
}

/// The reply to VRECALL ... WITHTRACE, as the engine would have answered.
class RecallReading {
 public:
  explicit RecallReading(const Reply& reply) : reply_(reply) {}

  /// Errors: kDataLoss.
  Status read() {
    constexpr std::array<std::string_view, 18> kFields = {
        "state", "attractor", "weight", "distance", "onestep", "posterior",
        "kind",  "entropy",   "neff",   "support",  "energy",  "outside",
        "steps", "converged", "novel",  "trunc",    "cert",    "beta"};
    const bool has_all = std::all_of(kFields.begin(), kFields.end(),
                                     [this](auto name) { return reply_.find(name) != nullptr; });
    if (!has_all) return tl::unexpected(malformed());
    read_items();
    read_course();
    const auto* const kind =
        std::find(std::begin(kRecallKindNames), std::end(kRecallKindNames), field("kind").text);
    const std::vector<Reply>& support = field("support").items;
    if (kind == std::end(kRecallKindNames) || support.size() % 2 != 0) {
      return tl::unexpected(malformed());
    }
    recall_.kind = static_cast<RecallKind>(kind - std::begin(kRecallKindNames));
    for (std::size_t i = 0; i < support.size(); i += 2) {
      recall_.support.push_back({0, real_of(support[i + 1])});
    }
    return {};
  }

  [[nodiscard]] RecallAnswer answer() const {
    RecallAnswer answer = {recall_, key_of("attractor"), key_of("onestep"), {}};
    const std::vector<Reply>& support = field("support").items;
    for (std::size_t i = 0; i < support.size(); i += 2) answer.support.push_back(support[i].text);
    return answer;
  }

 private:
  [[nodiscard]] const Reply& field(std::string_view name) const { return *reply_.find(name); }

  [[nodiscard]] std::optional<std::string_view> key_of(std::string_view name) const {
    const Reply& key = field(name);
    return key.is_null() ? std::nullopt : std::optional<std::string_view>(key.text);
  }

  void read_items() {
    const std::string& state = field("state").text;
    recall_.state.resize(state.size() / sizeof(float));
    if (!recall_.state.empty()) {
      std::memcpy(recall_.state.data(), state.data(), recall_.state.size() * sizeof(float));
    }
    if (key_of("attractor")) recall_.attractor = Share{0, real_of(field("weight"))};
    if (key_of("onestep")) recall_.onestep = Share{0, real_of(field("posterior"))};
    recall_.distance = parse_number<float>(field("distance").text).value_or(0);
    recall_.entropy = real_of(field("entropy"));
    recall_.effective_count = real_of(field("neff"));
    recall_.outside = field("outside").integer != 0;
  }

  void read_course() {
    for (const Reply& energy : field("energy").items) recall_.energies.push_back(real_of(energy));
    recall_.steps = static_cast<std::size_t>(field("steps").integer);
    recall_.converged = field("converged").integer != 0;
    const Reply& novel = field("novel");
    if (!novel.is_null()) recall_.novel = novel.integer != 0;
    recall_.truncated = real_of(field("trunc"));
    recall_.exact = field("cert").text == "exact";
    recall_.beta = real_of(field("beta"));
  }

  const Reply& reply_;
  Recall recall_;
};

/// A cue or a state, and what else a body says, as words of a command.
struct Given {
  std::string index;
  std::optional<std::string> id = {};
  std::vector<float> vector = {};
  std::vector<std::string> options = {};
};

/// Flags that the router itself gives; as names of options they would change what is answered.
Status append_options(const OptionTexts& options, std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 5> kFlags = {"WITHTRACE", "WITHRAW", "WITHSTRENGTH",
                                                      "WITHMEAN", "PARTIAL"};
  for (const auto& [name, value] : options.list()) {
    if (is_any_ignoring_case(std::string(name), kFlags)) {
      return fail(ErrorCode::kInvalidArgument,
                  "unknown option '" + shown(name) + "' of a recall over HTTP");
    }
    words.emplace_back(name);
    words.emplace_back(value);
  }
  return {};
}

Status read_given(const JsonObject& body, bool is_cue, Given& given) {
  if (is_cue) {
    const auto id = read_cue_id(body);
    if (!id) return tl::unexpected(id.error());
    if (*id) given.id = std::string(**id);
  }
  if (!given.id) {
    auto vector = read_given_state(body);
    if (!vector) return tl::unexpected(std::move(vector.error()));
    given.vector = std::move(*vector);
  }
  const auto options = is_cue ? read_cue_options(body) : read_state_options(body);
  if (!options) return tl::unexpected(options.error());
  return append_options(*options, given.options);
}

Status check_given(const Given& given, const Layout& layout) {
  if (given.id) return {};
  const Status checked = check_vector_of(layout.index, layout.dim, given.vector);
  if (checked) return {};
  return fail(checked.error().code, "'vector': " + checked.error().message);
}

using Ready = std::function<void(const std::shared_ptr<Given>&)>;

/// Goes on with what the body gives to an index that is there.
void begin(const HttpAskingPtr& asking, const MatchedRequest& request, bool is_cue, Ready go_on) {
  JsonBody body;
  const auto object =
      is_cue ? body.read(request.request, kCueFields) : body.read(request.request, kStateFields);
  if (!object) return asking->answer_error(object.error());
  const auto given = std::make_shared<Given>(Given{.index = std::string(collection_name(request))});
  // A collection that is not there is what is wrong first.
  const Status read = read_given(*object, is_cue, *given);
  with_layout_for(
      asking, given->index,
      [given, read](const Layout& layout) { return read ? check_given(*given, layout) : read; },
      [given, go_on = std::move(go_on)](const LayoutPtr&) { go_on(given); });
}

std::vector<std::string> words_behind(std::vector<std::string> argv, const Given& given) {
  argv.insert(argv.end(), given.options.begin(), given.options.end());
  return argv;
}

void recall_by(const HttpAskingPtr& asking, const Given& given, std::string cue) {
  std::vector<std::string> argv =
      words_behind({"vrecall", given.index, "VEC", std::move(cue)}, given);
  argv.emplace_back("WITHTRACE");
  carry_out_or_fail(asking, std::move(argv), [asking](const Reply& reply) {
    RecallReading reading(reply);
    if (const Status read = reading.read(); !read) return asking->answer_error(read.error());
    HttpResponse response;
    write_recall(response, reading.answer());
    asking->answer(std::move(response));
  });
}

}  // namespace

void http_recall(const HttpAskingPtr& asking, const MatchedRequest& request) {
  begin(asking, request, true, [asking](const std::shared_ptr<Given>& given) {
    if (!given->id) return recall_by(asking, *given, std::string(packed(given->vector)));
    carry_out_or_fail(
        asking, {"vget", given->index, *given->id}, [asking, given](const Reply& vector) {
          if (!vector.is_null()) return recall_by(asking, *given, vector.text);
          asking->answer_error({ErrorCode::kNotFound, "index '" + shown(given->index) +
                                                          "' has no key '" + shown(*given->id) +
                                                          "' to recall by"});
        });
  });
}

void http_energy(const HttpAskingPtr& asking, const MatchedRequest& request) {
  begin(asking, request, false, [asking](const std::shared_ptr<Given>& given) {
    carry_out_or_fail(
        asking, words_behind({"venergy", given->index, std::string(packed(given->vector))}, *given),
        [asking](const Reply& energy) {
          HttpResponse response;
          write_energy(response, real_of(energy));
          asking->answer(std::move(response));
        });
  });
}

}  // namespace engram::router
