// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/new_index.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "core/text.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

/// The words behind the name. Nothing where one has a space or a comma, which no node accepts.
std::string joined(const std::vector<std::string>& argv) {
  std::string all;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    const bool is_plain =
        !argv[i].empty() && std::all_of(argv[i].begin(), argv[i].end(),
                                        [](char c) { return c > ' ' && c <= '~' && c != ','; });
    if (!is_plain) return {};
    all += (i == 2 ? "" : ",") + argv[i];
  }
  return all;
}

}  // namespace

std::uint64_t layout_clock_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

Result<Layout> read_new_index(std::vector<std::string>& argv, std::size_t default_partitions) {
  constexpr std::array<std::string_view, 3> kOneNumber = {"exp", "power", "ebb"};
  constexpr std::array<std::string_view, 4> kSums = {"hebb", "palimpsest", "sdm", "drdam"};
  constexpr std::array<std::string_view, 2> kWholeRecalls = {"REINFORCE", "OUTSIDE"};
  constexpr std::array<std::string_view, 3> kOfParts = {"off", "nearest", "abstain"};
  constexpr std::array<std::string_view, 2> kBudgets = {"BUDGET", "BUDGETBYTES"};
  ENGRAM_TRY(check_index_name(argv[1]));
  Layout layout;
  layout.index = argv[1];
  layout.partitions = default_partitions;
  layout.epoch = layout_clock_us();
  layout.state = Layout::State::kMaking;
  layout.dim = parse_number<std::size_t>(argv[2]).value_or(0);  // the nodes check it
  std::string whole;                                            // what takes one partition
  for (std::size_t at = 3; at + 1 < argv.size();) {
    const std::string& word = argv[at];
    const std::string& value = argv[at + 1];
    if (equal_ignoring_case(word, "PARTITIONS")) {
      const auto partitions = parse_number<std::size_t>(value);
      if (!partitions || *partitions < 1 || *partitions > kMostPartitions) {
        return fail(ErrorCode::kInvalidArgument,
                    "PARTITIONS must be an integer in 1..1024, got '" + value + "'");
      }
      layout.partitions = *partitions;
      argv.erase(argv.begin() + static_cast<std::ptrdiff_t>(at),
                 argv.begin() + static_cast<std::ptrdiff_t>(at + 2));
      continue;
    }
    if (equal_ignoring_case(word, "METRIC")) layout.metric = to_lower(value);
    if (equal_ignoring_case(word, "PRIMITIVE")) {
      layout.primitive = to_lower(value);
      if (is_any_ignoring_case(value, kSums)) whole = "primitive " + layout.primitive;
    }
    if (equal_ignoring_case(word, "DECAY") && !equal_ignoring_case(value, "none")) whole = "DECAY";
    if (is_any_ignoring_case(word, kBudgets)) whole = to_upper(word);
    if (is_any_ignoring_case(word, kWholeRecalls) && !is_any_ignoring_case(value, kOfParts)) {
      whole = to_upper(word) + " " + value;
    }
    if (equal_ignoring_case(word, "STEPS")) layout.steps = parse_number<std::size_t>(value);
    if (equal_ignoring_case(word, "TOL")) layout.tolerance = parse_number<double>(value);
    if (equal_ignoring_case(word, "MODE")) layout.is_clamped = equal_ignoring_case(value, "clamp");
    at += equal_ignoring_case(word, "DECAY") && is_any_ignoring_case(value, kOneNumber) ? 3 : 2;
  }
  layout.made = joined(argv);
  if (!whole.empty() && layout.partitions > 1) {
    return fail(ErrorCode::kUnsupported,
                whole + " is about all items at once, so it takes PARTITIONS 1");
  }
  layout.place();
  return layout;
}

}  // namespace engram::router
