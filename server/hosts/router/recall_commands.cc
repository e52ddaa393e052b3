// SPDX-License-Identifier: Apache-2.0
// VRECALL and VENERGY of an index with partitions: each step asks all partitions what they make of
// the state, and goes where they go together.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "core/metric.h"
#include "core/row.h"
#include "core/text.h"
#include "server/commands/recall_reply.h"
#include "server/durability/change.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/recall_form.h"
#include "server/hosts/router/recall_parts.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/requests/shown.h"

namespace engram::router {
namespace {

constexpr LinkKind kTyped = {.version = RespVersion::kResp3};
// As hopfield's and lsr's options say, unless VNEW did.
constexpr std::size_t kSteps = 32;
constexpr std::size_t kStepsOfLsr = 100;
constexpr double kTolerance = 1e-4;

struct Recalling {
  CallPtr call;
  LayoutPtr layout;
  RecallForm form;
  Metric metric = Metric::kCosine;
  bool is_lsr = false;
  std::vector<Part> replies = {};      // of the last step, which parts look into
  std::vector<PartRecall> parts = {};  // by partition
  Shares shares = {};                  // of their weights
  std::vector<float> state = {};
  Recall recall = {};
  std::string onestep = {};
};
using RecallingPtr = std::shared_ptr<Recalling>;
using Steps = std::function<void(const RecallingPtr&)>;

void recall_all(const CallPtr& call, const LayoutPtr& layout);
void energy_of_all(const CallPtr& call, const LayoutPtr& layout);

/// Asks all partitions what they make of `cue`, and goes on when they have told.
void ask(const RecallingPtr& recalling, const std::vector<std::string>& cue, OnLayout again,
         const Steps& go_on) {
  const RecallForm& form = recalling->form;
  std::vector<std::string> words = {"", "", "VEC"};
  words.insert(words.end(), cue.begin(), cue.end());
  words.insert(words.end(), form.options.begin(), form.options.end());
  words.insert(words.end(), {"STEPS", "0", "WITHMEAN"});
  if (form.mask) words.insert(words.end(), {"MASK", *form.mask});
  scatter(recalling->call, recalling->layout, for_all(*recalling->layout, "VRECALL", words), kTyped,
          std::move(again), [recalling, go_on](std::vector<Part>& replies) {
            const Recalling& ours = *recalling;
            if (answer_failure(ours.call, *ours.layout, replies)) return;
            recalling->replies = std::move(replies);
            recalling->parts.clear();
            for (const Part& reply : recalling->replies) {
              auto part = part_recall(reply.reply, ours.layout->dim);
              if (!part) {
                return ours.call->answer_error("ERR partition " + std::to_string(reply.partition) +
                                               ": " + part.error().message);
              }
              recalling->parts.push_back(std::move(*part));
            }
            go_on(recalling);
          });
}

void ask_at_state(const RecallingPtr& recalling, const Steps& go_on) {
  ask(recalling, {std::string(packed(recalling->state))}, recall_all, go_on);
}

bool has_weights(const Recalling& recalling) {
  return std::isfinite(recalling.shares.log_sum);
}

/// Takes into account what partitions have said of a state. What one does with a state that is
/// outside of all its radii means nothing where another has items that are near.
void weigh(Recalling& recalling) {
  std::vector<PartRecall>& parts = recalling.parts;
  Recall& recall = recalling.recall;
  const bool is_inside = std::any_of(parts.begin(), parts.end(), [](const PartRecall& part) {
    return part.fields != nullptr && !part.outside;
  });
  for (PartRecall& part : parts) {
    if (!part.outside) continue;
    part.energy = std::numeric_limits<double>::infinity();
    if (is_inside) part.mean.vector.clear();
  }
  recalling.shares = energy_shares(parts);
  recall.energies.push_back(-recalling.shares.log_sum / recall.beta);
  double truncated = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    truncated += recalling.shares.of[p] * parts[p].truncated;
    recall.exact = recall.exact && parts[p].exact;
  }
  recall.truncated = std::max(recall.truncated, truncated);
}

/// Of a cue that is outside of all radii: it is led to the nearest item of all, as if that were the
/// only one. OUTSIDE abstain: to none.
void go_inside(Recalling& recalling) {
  std::vector<PartRecall>& parts = recalling.parts;
  PartRecall* nearest = nullptr;
  for (PartRecall& part : parts) {
    if (part.mean.vector.empty()) continue;
    if (nearest == nullptr || part.distance < nearest->distance) nearest = &part;
  }
  if (nearest == nullptr) return;
  for (PartRecall& part : parts) {
    if (&part != nearest) part.mean.vector.clear();
  }
  recalling.shares.of[static_cast<std::size_t>(nearest - parts.data())] = 1;
  recalling.shares.log_sum = 0;
}

const Reply& field(const Recalling& recalling, std::size_t partition, std::string_view name) {
  return *recalling.parts[partition].fields->find(name);
}

void write_answer(const Recalling& recalling, const std::string& attractor,
                  const std::vector<SupportRow>& support) {
  const RecallForm& form = recalling.form;
  const auto name_of = [](const std::string& key, bool is_there) {
    return is_there ? std::optional<std::string_view>(key) : std::nullopt;
  };
  const Recall& recall = recalling.recall;
  RecallAnswer answer = {recall,
                         name_of(attractor, recall.attractor.has_value()),
                         name_of(recalling.onestep, recall.onestep.has_value()),
                         {}};
  for (const SupportRow& row : support) {
    answer.support.push_back(row.fields[0].text);
    if (form.with_raw) {
      answer.raw.push_back(parse_number<float>(row.fields[2].text).value_or(0));
    }
    if (form.with_strength) {
      const std::string& strength = row.fields[form.stride() - 1].text;
      answer.strengths.push_back(parse_number<double>(strength).value_or(0));
    }
  }
  recalling.call->answer(
      [&](ReplyWriter& writer) { write_recall(writer, answer, form.with_trace); });
}

/// The distance from the state to an item, whose vector its partition has told; nothing if that is
/// none of the index.
std::optional<float> distance_to(const Recalling& recalling, std::string_view packed_item) {
  const std::size_t dim = recalling.layout->dim;
  if (packed_item.size() != dim * sizeof(float)) return std::nullopt;
  std::vector<float> item(dim);
  std::memcpy(item.data(), packed_item.data(), packed_item.size());
  double dot = 0;
  double squares = 0;
  double norms[2] = {};
  for (std::size_t i = 0; i < dim; ++i) {
    const double a = recalling.state[i];
    const double b = item[i];
    dot += a * b;
    squares += (a - b) * (a - b);
    norms[0] += a * a;
    norms[1] += b * b;
  }
  if (recalling.metric == Metric::kL2) return static_cast<float>(std::sqrt(squares));
  if (recalling.metric == Metric::kDot) return static_cast<float>(-dot);
  return static_cast<float>(1 - dot / std::sqrt(norms[0] * norms[1]));
}

/// Tells of the state, of which the last step has asked.
void finish(const RecallingPtr& recalling) {
  Recall& recall = recalling->recall;
  recall.state = recalling->state;
  if (!has_weights(*recalling)) return write_answer(*recalling, {}, {});
  const auto& parts = recalling->parts;
  const Shares& shares = recalling->shares;
  std::size_t items = 0;
  for (const PartRecall& part : parts) items += part.mean.items;
  const std::size_t best = heaviest_at_state(parts, shares);
  recall.attractor = Share{0, shares.of[best] * parts[best].weight};
  recall.effective_count = effective_count_of(parts, shares);
  recall.kind = state_kind(recall.attractor->weight, recall.effective_count, items);
  if (recalling->is_lsr && recall.kind != RecallKind::kPattern) {
    recall.kind = RecallKind::kEmergent;
  }
  recall.distance = static_cast<float>(parts[best].distance);
  const std::vector<SupportRow> rows =
      support_of(parts, shares, recalling->form.stride(), recalling->form.top);
  for (const SupportRow& row : rows) recall.support.push_back({0, row.weight});
  const std::string attractor = field(*recalling, best, "attractor").text;
  if (!recalling->form.mask) return write_answer(*recalling, attractor, rows);
  // The partition has told the distance from what it would have made of the cue alone.
  scatter(recalling->call, recalling->layout,
          {{best, part_command(*recalling->layout, best, "VGET", {"", "", attractor})}}, kTyped,
          recall_all, [recalling, attractor, rows](std::vector<Part>& replies) {
            const Recalling& ours = *recalling;
            if (answer_failure(ours.call, *ours.layout, replies)) return;
            const auto distance = distance_to(ours, replies.front().reply.text);
            if (!distance) {
              return ours.call->answer_error("ERR index '" + ours.layout->index +
                                             "' has lost the key '" + shown(attractor) +
                                             "' while it was recalled");
            }
            recalling->recall.distance = *distance;
            write_answer(*recalling, attractor, rows);
          });
}

/// The next state: T of the present one. Returns whether it came farther than the tolerance.
bool step(Recalling& recalling) {
  const std::vector<double> mean = mean_of(recalling.parts);
  double norm = 1;
  if (recalling.metric == Metric::kCosine) {
    double squares = 0;
    for (const double value : mean) squares += value * value;
    if (squares > 0) norm = std::sqrt(squares);
  }
  double moved = 0;
  double length = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const auto next = static_cast<float>(mean[i] / norm);
    const double difference = double{next} - recalling.state[i];
    moved += difference * difference;
    length += double{recalling.state[i]} * recalling.state[i];
    recalling.state[i] = next;
  }
  ++recalling.recall.steps;
  const double tolerance =
      recalling.form.tolerance.value_or(recalling.layout->tolerance.value_or(kTolerance));
  return std::sqrt(moved) > tolerance * std::max(1.0, std::sqrt(length));
}

/// From a state that has been asked of to the last one.
void descend(const RecallingPtr& recalling) {
  Recall& recall = recalling->recall;
  const std::size_t steps = recalling->form.steps.value_or(
      recalling->layout->steps.value_or(recalling->is_lsr ? kStepsOfLsr : kSteps));
  if (recall.converged || recall.steps == steps || !has_weights(*recalling)) {
    return finish(recalling);
  }
  const bool has_moved = step(*recalling);
  if (!recalling->is_lsr) recall.converged = !has_moved;
  ask_at_state(recalling, [](const RecallingPtr& asked) {
    weigh(*asked);
    if (asked->is_lsr) {  // rests where the same items are near as before
      const std::vector<double> mean = mean_of(asked->parts);
      asked->recall.converged =
          std::equal(mean.begin(), mean.end(), asked->state.begin(), asked->state.end(),
                     [](double a, float b) { return static_cast<float>(a) == b; });
    }
    descend(asked);
  });
}

/// Fills what the mask hides with the mean of it, given what is visible.
void complete(Recalling& recalling, const std::vector<float>& cue) {
  const std::size_t dim = recalling.layout->dim;
  std::vector<float> visible(dim);
  std::vector<bool> is_visible(dim);
  for (const auto& [begin, end] : recalling.form.visible) {
    for (std::size_t i = begin; i < end; ++i) {
      visible[i] = cue[i];
      is_visible[i] = true;
    }
  }
  std::vector<float> row(row_bytes(dim) / sizeof(float));
  encode_row(recalling.metric, visible, reinterpret_cast<std::byte*>(row.data()));
  const std::vector<double> mean = mean_of(recalling.parts);
  double squares = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    if (!is_visible[i]) row[i] = static_cast<float>(mean[i]);
    squares += double{row[i]} * row[i];
  }
  const bool is_unit = recalling.metric == Metric::kCosine && squares > 0;
  const double norm = is_unit ? std::sqrt(squares) : 1;
  recalling.state.resize(dim);
  for (std::size_t i = 0; i < dim; ++i) recalling.state[i] = static_cast<float>(row[i] / norm);
  recalling.recall.steps = 1;
  recalling.recall.converged = true;
}

/// From what the partitions have said of the cue.
void begin(const RecallingPtr& recalling) {
  Recall& recall = recalling->recall;
  const std::vector<PartRecall>& parts = recalling->parts;
  recall.beta = parts.front().beta;
  const auto held = std::find_if(parts.begin(), parts.end(),
                                 [](const PartRecall& part) { return part.fields != nullptr; });
  if (held == parts.end()) {  // no items at all
    recalling->state = parts.front().state;
    recall.converged = true;
    recalling->shares = energy_shares(parts);
    return finish(recalling);
  }
  recalling->state = held->state;
  weigh(*recalling);
  if (has_weights(*recalling)) {
    const std::size_t best = heaviest_at_cue(parts, recalling->shares);
    recall.onestep = Share{0, recalling->shares.of[best] * parts[best].posterior};
    recalling->onestep = field(*recalling, best, "onestep").text;
    recall.entropy = entropy_of(parts, recalling->shares);
  } else {
    recall.outside = recalling->is_lsr;
    go_inside(*recalling);
  }
  recall.converged = !has_weights(*recalling);
  if (!recalling->form.mask || recall.converged) return descend(recalling);
  complete(*recalling, cue_of(recalling->form, recalling->layout->dim));
  finish(recalling);
}

RecallingPtr make_recalling(const CallPtr& call, const LayoutPtr& layout) {
  auto recalling = std::make_shared<Recalling>();
  recalling->call = call;
  recalling->layout = layout;
  recalling->metric = metric_from_name(layout->metric).value_or(Metric::kCosine);
  recalling->is_lsr = is_lsr(*layout);
  recalling->form.is_clamped = layout->is_clamped;
  return recalling;
}

/// A cue that is stored.
void recall_by_key(const RecallingPtr& recalling) {
  const CallPtr& call = recalling->call;
  const LayoutPtr& layout = recalling->layout;
  const std::string& key = call->argv[3];
  const std::size_t home = partition_of(key, layout->partitions);
  scatter(call, layout, {{home, part_command(*layout, home, "VGET", {"", "", key})}}, kTyped,
          recall_all, [recalling](std::vector<Part>& replies) {
            const Recalling& ours = *recalling;
            if (answer_failure(ours.call, *ours.layout, replies)) return;
            if (replies.front().reply.is_null()) {
              return ours.call->answer_error(
                  Error{ErrorCode::kNotFound, "index '" + ours.layout->index + "' has no key '" +
                                                  shown(ours.call->argv[3]) + "' to recall by"});
            }
            recalling->form.cue = {std::move(replies.front().reply.text)};
            ask(recalling, recalling->form.cue, recall_all, begin);
          });
}

void recall_all(const CallPtr& call, const LayoutPtr& layout) {
  if (layout->partitions == 1) return pass_on(call, layout, 0, recall_all);
  const RecallingPtr recalling = make_recalling(call, layout);
  const std::vector<std::string>& argv = call->argv;
  RecallForm& form = recalling->form;
  const bool is_key = equal_ignoring_case(argv[2], "KEY");
  const bool is_vector = equal_ignoring_case(argv[2], "VEC");
  const std::size_t end = is_key ? 4 : is_vector ? take_cue(argv, 3, form) : 0;
  if (end == 0 || !read_recall_options(std::span(argv).subspan(end), form)) {
    return ask_what_is_wrong(call, layout, recall_all);
  }
  if (const Status settled = settle_mask(form, *layout); !settled) {
    return call->answer_error(settled.error());
  }
  if (const auto why = why_not(form, *layout)) return call->answer_error(*why);
  is_key ? recall_by_key(recalling) : ask(recalling, form.cue, recall_all, begin);
}

/// As a recall that makes no step.
void energy_of_all(const CallPtr& call, const LayoutPtr& layout) {
  if (layout->partitions == 1) return pass_on(call, layout, 0, energy_of_all);
  const RecallingPtr recalling = make_recalling(call, layout);
  const std::vector<std::string>& argv = call->argv;
  RecallForm& form = recalling->form;
  const std::size_t end = take_cue(argv, 2, form);
  const bool is_read = end != 0 && read_recall_options(std::span(argv).subspan(end), form);
  const bool is_recall =
      form.mask || form.with_trace || form.with_raw || form.with_strength || gives(form, "TOP");
  if (!is_read || is_recall) return ask_what_is_wrong(call, layout, energy_of_all);
  if (const auto why = why_not(form, *layout)) return call->answer_error(*why);
  for (std::size_t at = 0; at + 1 < form.options.size(); at += 2) {
    if (!equal_ignoring_case(form.options[at], "CAND")) continue;
    const auto from = form.options.begin() + static_cast<std::ptrdiff_t>(at);
    form.options.erase(from, from + 2);
    break;
  }
  form.options.insert(form.options.end(), {"TOP", "0", "CAND", "scan"});
  ask(recalling, form.cue, energy_of_all, [](const RecallingPtr& asked) {
    asked->recall.beta = asked->parts.front().beta;
    weigh(*asked);
    asked->call->answer(
        [&](ReplyWriter& writer) { writer.number(asked->recall.energies.front()); });
  });
}

}  // namespace

void vrecall(const CallPtr& call) {
  with_layout(call, recall_all);
}

void venergy(const CallPtr& call) {
  with_layout(call, energy_of_all);
}

}  // namespace engram::router
