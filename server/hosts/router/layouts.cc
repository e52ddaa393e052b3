// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/layouts.h"

#include <array>
#include <utility>

#include "core/text.h"
#include "server/hosts/router/slots.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

constexpr std::int64_t kRememberedMs = 1000;
constexpr std::size_t kMostRemembered = 10'000;
constexpr std::array<std::string_view, 3> kStates = {"making", "ready", "dropping"};

std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

bool set_field(Layout& layout, std::string_view name, std::string_view value) {
  const auto set_number = [value](auto& field) {
    const auto number = parse_number<std::uint64_t>(value);
    if (number) field = *number;
    return number.has_value();
  };
  if (name == "dim") return set_number(layout.dim);
  if (name == "partitions") return set_number(layout.partitions);
  if (name == "epoch") return set_number(layout.epoch);
  if (name == "steps") return set_number(layout.steps.emplace());
  if (name == "tol") {
    layout.tolerance = parse_number<double>(value);
    return layout.tolerance.has_value();
  }
  if (name == "mode") layout.is_clamped = value == "clamp";
  if (name == "metric") layout.metric = value;
  if (name == "primitive") layout.primitive = value;
  if (name != "state") return true;  // what a later version has to say
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (value != kStates[i]) continue;
    layout.state = static_cast<Layout::State>(i);
    return true;
  }
  return false;
}

}  // namespace

void Layout::place() {
  for (std::size_t p = 0; p < partitions; ++p) {
    keys.push_back(partition_key(index, partition_tag(p, partitions), epoch));
    slots.push_back(slot_of(keys.back()));
  }
}

std::string Layout::text_in(State other) const {
  std::string recalls;
  if (steps) recalls += " steps " + std::to_string(*steps);
  if (tolerance) recalls += " tol " + number_text(*tolerance);
  if (is_clamped) recalls += " mode clamp";
  return "dim " + std::to_string(dim) + " metric " + metric + " primitive " + primitive +
         " partitions " + std::to_string(partitions) + " epoch " + std::to_string(epoch) + recalls +
         " state " + std::string(kStates[static_cast<std::size_t>(other)]);
}

Result<Layout> Layout::parse(std::string_view index, std::string_view text) {
  Layout layout;
  layout.index = index;
  layout.stored = text;
  bool is_sound = true;
  while (!text.empty()) {
    const std::string_view name = take_word(text);
    is_sound = set_field(layout, name, take_word(text)) && is_sound;
  }
  if (!is_sound || layout.partitions < 1 || layout.partitions > kMostPartitions) {
    return fail(ErrorCode::kDataLoss, "the key " + meta_key(index) + " holds no layout");
  }
  layout.place();
  return layout;
}

Status check_index_name(std::string_view index) {
  if (index.find_first_of("{}") == std::string_view::npos && !index.empty()) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "an index behind a router has a name without braces, got '" + std::string(index) + "'");
}

Status check_ready(const Layout& layout) {
  if (layout.state == Layout::State::kReady) return {};
  const bool is_making = layout.state == Layout::State::kMaking;
  return fail(ErrorCode::kAlreadyExists,
              "index '" + layout.index +
                  (is_making ? "' is being made; if its VNEW has failed, VDROP removes it"
                             : "' is being dropped; if that has failed, VDROP goes on"));
}

Error no_such_index(std::string_view index) {
  return {ErrorCode::kNotFound, "no such index '" + std::string(index) + "'"};
}

void Layouts::find(const std::string& index, bool fresh, Callback callback) {
  if (const Status named = check_index_name(index); !named) {
    return callback(tl::unexpected(named.error()));
  }
  if (const Known* const known = fresh ? nullptr : remembered(index)) {
    return callback(known->layout);
  }
  const std::string key = meta_key(index);
  const bool may_be_stale = !fresh && cluster_.reads_may_be_stale();
  cluster_.send(
      {.slot = slot_of(key), .bytes = encode_command({"GET", key}), .may_be_stale = may_be_stale},
      [=, this, callback = std::move(callback)](const Answer& answer) {
        if (!may_be_stale) return take(index, answer, false, callback);
        // A layout of some time ago is as good: its keys are there, or it is read anew.
        take(index, answer, true, [=, this](Result<LayoutPtr> read) {
          const bool is_sure = read ? (*read)->state == Layout::State::kReady
                                    : read.error().code == ErrorCode::kUnavailable;
          if (is_sure) return callback(std::move(read));
          find(index, true, callback);
        });
      });
}

/// One that is being made or dropped will soon be another.
const Layouts::Known* Layouts::remembered(const std::string& index) const {
  const auto found = known_.find(index);
  const bool is_good = found != known_.end() && steady_ms() < found->second.until_ms &&
                       found->second.layout->state == Layout::State::kReady;
  return is_good ? &found->second : nullptr;
}

bool Layouts::remembers_of_master(const std::string& index) const {
  const Known* const known = remembered(index);
  return known != nullptr && !known->may_be_stale;
}

void Layouts::take(const std::string& index, const Answer& answer, bool may_be_stale,
                   const Callback& callback) {
  const auto found = known_.find(index);
  const Reply reply = answer.is_missing ? Reply::error(answer.bytes) : read_reply(answer.bytes);
  if (reply.is_error()) {
    // What a replica has said is not for those that asked a master.
    const bool is_held = found != known_.end() && (may_be_stale || !found->second.may_be_stale);
    if (answer.is_missing && is_held) return callback(found->second.layout);
    return callback(fail(ErrorCode::kUnavailable, "the layout of index '" + index +
                                                      "' cannot be read (" + reply.text + ")"));
  }
  if (reply.kind != Reply::Kind::kText) {
    known_.erase(index);
    return callback(tl::unexpected<Error>(no_such_index(index)));
  }
  if (found != known_.end() && found->second.layout->stored == reply.text) {
    found->second.until_ms = steady_ms() + kRememberedMs;
    found->second.may_be_stale = may_be_stale;
    return callback(found->second.layout);
  }
  auto parsed = Layout::parse(index, reply.text);
  if (!parsed) return callback(tl::unexpected<Error>(std::move(parsed.error())));
  if (known_.size() >= kMostRemembered) known_.clear();
  Known& known = known_[index];
  known.layout = std::make_shared<const Layout>(std::move(*parsed));
  known.until_ms = steady_ms() + kRememberedMs;
  known.may_be_stale = may_be_stale;
  callback(known.layout);
}

}  // namespace engram::router
