// SPDX-License-Identifier: Apache-2.0
// Commands on a whole index: it is made on all partitions and dropped from all, and what they tell
// of themselves is added up.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <optional>
#include <utility>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/growth_commands.h"
#include "server/hosts/router/layout_changes.h"
#include "server/hosts/router/new_index.h"
#include "server/hosts/router/partitions.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

constexpr std::size_t kPartitionsOfMaster = 4;

/// is_uncertain: it may have been written nevertheless.
void answer_meta_failure(const CallPtr& call, const std::string& why, bool is_uncertain) {
  const std::string layout = "the layout of index '" + call->argv[1] + "' ";
  call->answer_error(is_uncertain ? "MISSING whether " + layout + "was written is not known (" +
                                        why + "); the write may be done"
                                  : "MISSING " + layout + "cannot be written (" + why + ")");
}

/// Takes the reply to a change of a layout: goes on if it was made; or as `refused` says, where the
/// layout was not what it was taken for; or answers that its node is missing.
void take_meta_reply(const CallPtr& call, const Answer& answer, const std::function<void()>& go_on,
                     const std::function<void()>& refused) {
  if (answer.is_missing) return answer_meta_failure(call, answer.bytes, answer.is_uncertain);
  const Reply reply = read_reply(answer.bytes);
  if (reply.is_error()) return answer_meta_failure(call, reply.text, false);
  reply.is_null() ? refused() : go_on();
}

void answer_dropped(const CallPtr& call) {
  call->answer_error(
      Error{ErrorCode::kNotFound, "index '" + call->argv[1] + "' was dropped meanwhile"});
}

/// Removes all that the index has, and goes on with what that came to. Removals are done one after
/// the other, from `at` on.
void remove_partitions(const CallPtr& call, std::vector<Removal> removals, std::size_t at,
                       const std::function<void(const LayoutPtr&, std::vector<Part>&)>& go_on) {
  std::vector<PartCommand> commands;
  for (std::size_t p = 0; p < removals[at].commands.size(); ++p) {
    commands.push_back({p, std::move(removals[at].commands[p])});
  }
  const LayoutPtr layout = removals[at].layout;
  scatter(call, layout, std::move(commands), {}, {},
          [call, layout, removals = std::move(removals), at, go_on](std::vector<Part>& parts) {
            const bool is_gone = std::none_of(parts.begin(), parts.end(), [](const Part& part) {
              return part.answer.is_missing || part.reply.is_error();
            });
            if (!is_gone || at + 1 == removals.size()) return go_on(layout, parts);
            remove_partitions(call, removals, at + 1, go_on);
          });
}

void remove_all(const CallPtr& call, const Layout& layout,
                const std::function<void(const LayoutPtr&, std::vector<Part>&)>& go_on) {
  remove_partitions(call, removals_of(layout, layout.placements()), 0, go_on);
}

/// The partitions are gone, or were never made whole: so goes the layout.
void drop_partitions(const CallPtr& call, const LayoutPtr& layout,
                     const std::function<void()>& go_on) {
  remove_all(call, *layout,
             [call, layout, go_on](const LayoutPtr& removed, std::vector<Part>& parts) {
               if (answer_failure(call, *removed, parts)) return;
               exchange_layout(call->services, *layout, "", [call, go_on](const Answer& answer) {
                 take_meta_reply(call, answer, go_on, [call] { answer_dropped(call); });
               });
             });
}

/// None is left of an index whose making has failed; then answers why it has.
void undo_making(const CallPtr& call, const LayoutPtr& layout, const std::string& error) {
  remove_all(call, *layout, [call, layout, error](const LayoutPtr&, std::vector<Part>& parts) {
    const auto answer = [call, error] { call->answer_error(error); };
    // What is left on a node that does not answer VDROP finds by the layout.
    const bool is_gone = std::none_of(parts.begin(), parts.end(), [](const Part& part) {
      return part.answer.is_missing || part.reply.is_error();
    });
    if (!is_gone) return answer();
    exchange_layout(call->services, *layout, "", [answer](const Answer&) { answer(); });
  });
}

/// A VDROP may have come between, and before some of the partitions: they go then.
void announce(const CallPtr& call, const LayoutPtr& layout) {
  const auto ready = [call] { call->answer_ok(); };
  const auto dropped = [call, layout] {
    remove_all(call, *layout,
               [call](const LayoutPtr&, std::vector<Part>&) { answer_dropped(call); });
  };
  exchange_layout(call->services, *layout, layout->text_in(Layout::State::kReady),
                  [=](const Answer& answer) { take_meta_reply(call, answer, ready, dropped); });
}

void make_partitions(const CallPtr& call, const LayoutPtr& layout) {
  scatter(call, layout, for_all(*layout, "VNEW", call->argv), {}, {},
          [call, layout](std::vector<Part>& parts) {
            const auto failed = std::find_if(parts.begin(), parts.end(), [](const Part& part) {
              return part.answer.is_missing || part.reply.is_error();
            });
            if (failed == parts.end()) return announce(call, layout);
            const std::string missing = missing_sentence(*layout, parts);
            undo_making(call, layout, missing.empty() ? failed->reply.text : "MISSING " + missing);
          });
}

void make_index(const CallPtr& call) {
  const std::size_t masters = call->services.cluster.map().shards().size();
  auto read = read_new_index(
      call->argv, std::min(std::bit_ceil(masters * kPartitionsOfMaster), kMostPartitions));
  if (!read) return call->answer_error(read.error());
  const auto layout = std::make_shared<const Layout>(std::move(*read));
  const auto refuse = [call] {
    call->answer_error(
        Error{ErrorCode::kAlreadyExists, "index '" + call->argv[1] + "' already exists"});
  };
  const auto make = [call, layout] { make_partitions(call, layout); };
  exchange_stored(call->services, layout->index, "", layout->text(),
                  [=](const Answer& answer) { take_meta_reply(call, answer, make, refuse); });
}

/// How the fields of VINFO become one: any other is that of the first partition.
constexpr std::array<std::string_view, 15> kSummed = {"size",
                                                      "attributes-count",
                                                      "hnsw-max-node-uid",
                                                      "memory-bytes",
                                                      "vectors-bytes",
                                                      "index-bytes",
                                                      "bookkeeping-bytes",
                                                      "attributes-bytes",
                                                      "strengths-bytes",
                                                      "merged-items",
                                                      "attribute-columns-bytes",
                                                      "forgotten-items",
                                                      "erased-nodes",
                                                      "forgetting",
                                                      "measured-dropped"};
constexpr std::array<std::string_view, 3> kGreatest = {"max-level", "attribute-columns",
                                                       "last-write-ms"};

std::int64_t as_integer(const Reply& value) {
  return value.kind == Reply::Kind::kInteger ? value.integer
                                             : parse_number<std::int64_t>(value.text).value_or(0);
}

/// Adds the fields of a partition, names and values in turn, to those of the first.
void add_fields(Reply& all, const Reply& part) {
  for (std::size_t i = 0; i + 1 < all.items.size(); i += 2) {
    const std::string& name = all.items[i].text;
    const bool is_sum = is_any_ignoring_case(name, kSummed);
    if (!is_sum && !is_any_ignoring_case(name, kGreatest)) continue;
    for (std::size_t j = 0; j + 1 < part.items.size(); j += 2) {
      if (part.items[j].text != name) continue;
      const std::int64_t theirs = as_integer(part.items[j + 1]);
      const std::int64_t ours = as_integer(all.items[i + 1]);
      all.items[i + 1] = {.kind = Reply::Kind::kInteger,
                          .integer = is_sum ? ours + theirs : std::max(ours, theirs)};
    }
  }
}

std::int64_t field_of(const Reply& fields, std::string_view name) {
  for (std::size_t i = 0; i + 1 < fields.items.size(); i += 2) {
    if (fields.items[i].text == name) return as_integer(fields.items[i + 1]);
  }
  return 0;
}

void write_value(ReplyWriter& writer, const Reply& value) {
  if (value.kind == Reply::Kind::kInteger) return writer.integer(value.integer);
  const bool is_real = parse_number<double>(value.text).has_value();
  if (!is_real || writer.version() == RespVersion::kResp2) return writer.bulk(value.text);
  writer.rendered("," + value.text + "\r\n");
}

/// Takes PARTIAL off the end.
bool takes_partial(std::vector<std::string>& argv) {
  if (argv.size() < 3 || !equal_ignoring_case(argv.back(), "PARTIAL")) return false;
  argv.pop_back();
  return true;
}

using Surveyed = std::function<void(const LayoutPtr&, std::vector<Part>&)>;

/// Asks all, and goes on when all have answered; is_partial: with those that have.
void survey_all(const CallPtr& call, const LayoutPtr& layout, bool is_partial,
                const Surveyed& go_on) {
  const auto again = [=](const CallPtr& same, const LayoutPtr& other) {
    survey_all(same, other, is_partial, go_on);
  };
  scatter(call, layout, for_all(*layout, to_upper(call->argv[0]), call->argv), {}, again,
          [=](std::vector<Part>& parts) {
            const std::size_t total = parts.size();
            if (is_partial) {
              std::erase_if(parts, [](const Part& part) { return part.answer.is_missing; });
              if (parts.size() < total) ++call->services.counts.partial;
            }
            if (!answer_failure(call, *layout, parts)) go_on(layout, parts);
          });
}

/// VINFO and VCARD.
void survey(const CallPtr& call, const Surveyed& go_on) {
  const bool is_partial = takes_partial(call->argv);
  if (call->argv.size() != 2) return call->answer_error(kSyntaxError);
  with_layout(call, [=](const CallPtr& same, const LayoutPtr& layout) {
    survey_all(same, layout, is_partial, go_on);
  });
}

void write_partial_counts(ReplyWriter& writer, const Layout& layout, std::size_t ok) {
  const auto field = [&](std::string_view name, std::uint64_t value) {
    writer.bulk(name);
    writer.integer(static_cast<std::int64_t>(value));
  };
  field("ok", ok);
  field("total", layout.partitions);
  field("epoch", layout.epoch);
}
constexpr std::size_t kPartialCounts = 3;

/// progress: of the growth that is under way.
void write_info(const Call& call, const Layout& layout, std::size_t ok, const Reply& all,
                const std::optional<GrowthProgress>& progress) {
  constexpr std::size_t kGrowthFacts = 4;
  const std::int64_t size = field_of(all, "size");
  const double per_item =
      size == 0 ? 0
                : static_cast<double>(field_of(all, "memory-bytes")) / static_cast<double>(size);
  call.answer([&](ReplyWriter& writer) {
    writer.map(all.items.size() / 2 + kPartialCounts + (progress ? kGrowthFacts : 0));
    for (std::size_t i = 0; i + 1 < all.items.size(); i += 2) {
      writer.bulk(all.items[i].text);
      all.items[i].text == "bytes-per-item" ? writer.number(per_item)
                                            : write_value(writer, all.items[i + 1]);
    }
    write_partial_counts(writer, layout, ok);
    if (!progress) return;
    writer.bulk("growing-to");
    writer.integer(static_cast<std::int64_t>(2 * layout.partitions));
    writer.bulk("growth");
    writer.bulk(progress->holder != 0 ? "copying" : "stopped");
    writer.bulk("growth-copied");
    writer.integer(static_cast<std::int64_t>(progress->copied));
    writer.bulk("growth-items");
    writer.integer(static_cast<std::int64_t>(progress->items));
  });
}

}  // namespace

void vnew(const CallPtr& call) {
  if (call->services.cluster.knows_map()) return make_index(call);
  // How many partitions there are to be depends on how many nodes there are.
  call->services.layouts.find(call->argv[1], true, [call](const Result<LayoutPtr>& found) {
    if (!found && found.error().code != ErrorCode::kNotFound) {
      return call->answer_error(found.error());
    }
    make_index(call);
  });
}

void vdrop(const CallPtr& call) {
  const std::string& index = call->argv[1];
  call->services.layouts.find(index, true, [call](const Result<LayoutPtr>& found) {
    if (!found) return call->answer_error(found.error());
    auto dropping = std::make_shared<Layout>(**found);
    dropping->state = Layout::State::kDropping;
    dropping->stored.clear();
    const auto drop = [call, dropping] {
      drop_partitions(call, dropping, [call] { call->answer_ok(); });
    };
    exchange_layout(call->services, **found, dropping->text(), [call, drop](const Answer& answer) {
      take_meta_reply(call, answer, drop, [call] { answer_dropped(call); });
    });
  });
}

void vinfo(const CallPtr& call) {
  survey(call, [call](const LayoutPtr& layout, std::vector<Part>& parts) {
    Reply all = {.kind = Reply::Kind::kArray};
    if (!parts.empty()) all = std::move(parts.front().reply);
    for (std::size_t i = 1; i < parts.size(); ++i) add_fields(all, parts[i].reply);
    const std::size_t ok = parts.size();
    if (layout->state != Layout::State::kGrowing) {
      return write_info(*call, *layout, ok, all, std::nullopt);
    }
    call->services.cluster.send(
        on_meta_key(layout->index, {"GET", lease_key(layout->index)}),
        [call, layout, ok, all = std::move(all)](const Answer& answer) {
          const Reply held = answer.is_missing ? Reply{} : read_reply(answer.bytes);
          write_info(*call, *layout, ok, all, GrowthProgress::parse(held.text));
        });
  });
}

void vcard(const CallPtr& call) {
  const bool is_partial = call->argv.size() == 3;
  survey(call, [call, is_partial](const LayoutPtr& layout, std::vector<Part>& parts) {
    std::int64_t items = 0;
    for (const Part& part : parts) items += part.reply.integer;
    call->answer([&](ReplyWriter& writer) {
      if (!is_partial) return writer.integer(items);
      writer.map(1 + kPartialCounts);
      writer.bulk("size");
      writer.integer(items);
      write_partial_counts(writer, *layout, parts.size());
    });
  });
}

void vdim(const CallPtr& call) {
  with_layout(call, [](const CallPtr& found_call, const LayoutPtr& layout) {
    found_call->answer(
        [&](ReplyWriter& writer) { writer.integer(static_cast<std::int64_t>(layout->dim)); });
  });
}

void vprimitives(const CallPtr& call) {
  call->services.cluster.send_to_any(
      encode_command({"ENGRAM.VPRIMITIVES"}), call->passing_link(), [call](Answer&& answer) {
        if (answer.is_missing) return call->answer_error("MISSING a node (" + answer.bytes + ")");
        call->answer(std::move(answer.bytes));
      });
}

}  // namespace engram::router
