// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/requests/arguments.h"
#include "server/requests/consolidate.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

constexpr std::size_t kMostItems = kMaxSlots;
constexpr CountArgument kClusters = {"K", 1, kMostItems};
constexpr CountArgument kDrawSeed = {"SEED", 0, std::numeric_limits<std::uint64_t>::max()};
constexpr CountArgument kReplays = {"REPLAY", 1, 1'000'000};
constexpr CountArgument kWalk = {"WALK", 1, 10'000};
constexpr CountArgument kLeastMembers = {"MINSIZE", 1, kMostItems};
constexpr CountArgument kMostGroups = {"LIMIT", 1, std::numeric_limits<std::size_t>::max()};

template <std::size_t N>
Result<std::size_t> read_choice(std::string_view option, const std::string_view (&names)[N],
                                std::string_view text) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (equal_ignoring_case(text, names[i])) return i;
    known += std::string(i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(names[i]);
  }
  return fail(ErrorCode::kInvalidArgument,
              std::string(option) + " must be " + known + ", got '" + shown(text) + "'");
}

Status read_radius(std::string_view text, ConsolidateRequest& request) {
  const auto radius = parse_number<double>(text);
  if (!radius || !(*radius >= 0) || !std::isfinite(*radius)) {
    return fail(ErrorCode::kInvalidArgument,
                "RADIUS must be a number, 0 or more, got '" + shown(text) + "'");
  }
  request.params.grouping.radius = *radius;
  return {};
}

/// What is drawn, and how.
Status read_replay(std::vector<OptionText>& options, ReplayParams& replay) {
  const auto draws = take_count(options, kReplays, 0);
  if (!draws) return tl::unexpected(draws.error());
  replay.draws = *draws;
  const auto by = take_option(options, "BY");
  if (!by) return tl::unexpected(by.error());
  if (*by) {
    const auto choice = read_choice("BY", kReplayByNames, **by);
    if (!choice) return tl::unexpected(choice.error());
    replay.by = static_cast<ReplayBy>(*choice);
    if (replay.draws == 0) {
      return fail(ErrorCode::kInvalidArgument, "BY says what REPLAY draws by: it needs REPLAY");
    }
  }
  const auto walk = take_count(options, kWalk, 0);
  if (!walk) return tl::unexpected(walk.error());
  const auto temperature = take_option(options, "TEMPERATURE");
  if (!temperature) return tl::unexpected(temperature.error());
  if ((*walk > 0 || *temperature) && replay.by != ReplayBy::kLangevin) {
    return fail(ErrorCode::kInvalidArgument,
                "WALK and TEMPERATURE are of walks in the energy: they need REPLAY BY langevin");
  }
  if (*walk > 0) replay.walk = *walk;
  constexpr std::size_t kMostSteps = 10'000'000;
  if (replay.by == ReplayBy::kLangevin && replay.draws > kMostSteps / replay.walk) {
    return fail(ErrorCode::kInvalidArgument, "REPLAY times WALK is at most " +
                                                 std::to_string(kMostSteps) + ", got " +
                                                 std::to_string(replay.draws * replay.walk));
  }
  if (*temperature) {
    const auto value = parse_number<double>(**temperature);
    if (!value || !(*value > 0) || !std::isfinite(*value)) {
      return fail(
          ErrorCode::kInvalidArgument,
          "TEMPERATURE must be a number greater than 0, got '" + shown(**temperature) + "'");
    }
    replay.temperature = *value;
  }
  return {};
}

/// What decides the groups.
Status read_grouping(std::vector<OptionText>& options, ConsolidateRequest& request) {
  GroupingParams& grouping = request.params.grouping;
  const auto method = take_option(options, "METHOD");
  if (!method) return tl::unexpected(method.error());
  if (*method) {
    const auto choice = read_choice("METHOD", kGroupMethodNames, **method);
    if (!choice) return tl::unexpected(choice.error());
    grouping.method = static_cast<GroupMethod>(*choice);
  }
  const auto radius = take_option(options, "RADIUS");
  if (!radius) return tl::unexpected(radius.error());
  if (*radius) ENGRAM_TRY(read_radius(**radius, request));
  const auto clusters = take_count(options, kClusters, 0);
  if (!clusters) return tl::unexpected(clusters.error());
  grouping.clusters = *clusters;
  ENGRAM_TRY(read_replay(options, request.params.replay));
  const auto seed = take_count(options, kDrawSeed, grouping.seed);
  if (!seed) return tl::unexpected(seed.error());
  const bool has_seed = *seed != grouping.seed;
  grouping.seed = *seed;
  request.params.replay.seed = *seed;
  const bool has_clusters = grouping.clusters != 0;
  if (has_clusters && grouping.method != GroupMethod::kKMeans) {
    return fail(ErrorCode::kInvalidArgument, "K says how many groups: it needs METHOD kmeans");
  }
  if (has_seed && !has_clusters && request.params.replay.draws == 0) {
    return fail(
        ErrorCode::kInvalidArgument,
        "SEED draws what the K groups begin with, and what is replayed: it needs K or REPLAY");
  }
  if (has_clusters == radius->has_value()) {
    return fail(ErrorCode::kInvalidArgument,
                has_clusters
                    ? "K and RADIUS each say how many groups there are: give one of them"
                    : "RADIUS is missing: how far from each other items of a group may be");
  }
  return {};
}

Status read_into(Store& store, std::vector<OptionText>& options, ConsolidateRequest& request) {
  const auto name = take_option(options, "INTO");
  if (!name) return tl::unexpected(name.error());
  if (!*name) return {};
  auto into = find_index(store, **name);
  if (!into) return tl::unexpected(std::move(into.error()));
  request.into = std::move(*into);
  return {};
}

Status read_time(std::vector<OptionText>& options, ConsolidateRequest& request) {
  const auto at = take_option(options, "AT");
  if (!at) return tl::unexpected(at.error());
  if (!*at) return {};
  StrengthRequest asked = {.index = request.index};
  ENGRAM_TRY(read_options({{"AT", **at}}, asked));
  request.at_ms = asked.strength.at_ms;
  return {};
}

}  // namespace

Status read_options(Store& store, std::vector<OptionText> options, ConsolidateRequest& request) {
  ENGRAM_TRY(read_grouping(options, request));
  const auto keep = take_option(options, "KEEP");
  if (!keep) return tl::unexpected(keep.error());
  if (*keep) {
    constexpr std::string_view kNames[] = {"centroid", "medoid"};
    const auto choice = read_choice("KEEP", kNames, **keep);
    if (!choice) return tl::unexpected(choice.error());
    request.params.keep = static_cast<Keep>(*choice);
  }
  ENGRAM_TRY(read_into(store, options, request));
  const auto least = take_count(options, kLeastMembers, request.params.least_members);
  if (!least) return tl::unexpected(least.error());
  request.params.least_members = *least;
  const auto most = take_count(options, kMostGroups, request.params.most_groups);
  if (!most) return tl::unexpected(most.error());
  request.params.most_groups = *most;
  ENGRAM_TRY(read_time(options, request));
  if (options.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "unknown option '" + shown(options.front().first) +
                  "', known options are RADIUS, METHOD, K, SEED, KEEP, INTO, REPLAY, BY, WALK, "
                  "TEMPERATURE, MINSIZE, AT, LIMIT");
}

}  // namespace engram
