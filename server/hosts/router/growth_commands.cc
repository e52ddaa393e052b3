// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/growth_commands.h"

#include <algorithm>
#include <cstring>

#include "core/metric.h"
#include "core/row.h"
#include "core/text.h"
#include "server/durability/change.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/slots.h"
#include "server/requests/vector_numbers.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

/// A script unpacks no more words than that, with some to spare.
constexpr std::size_t kMostWords = 7000;

std::string eval(std::string_view script, const std::vector<std::string>& keys,
                 const std::vector<std::string>& arguments) {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVAL", script, count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  return encode_command(words);
}

/// Appends the vector at argv[at] in one word. Returns where it ends. Errors: kInvalidArgument.
Result<std::size_t> append_packed(std::vector<std::string>& words,
                                  const std::vector<std::string>& argv, std::size_t at) {
  const std::size_t end = end_of_vector(argv, at);
  if (end <= at + 1) {
    words.push_back(argv[at]);
    return at + 1;
  }
  const std::vector<std::string_view> spelled(argv.begin() + static_cast<std::ptrdiff_t>(at) + 2,
                                              argv.begin() + static_cast<std::ptrdiff_t>(end));
  const auto numbers = read_numbers(spelled);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  words.emplace_back(packed(*numbers));
  return end;
}

constexpr std::string_view kNotedWrite =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('ERR no such index') end "
    "redis.call('SADD', KEYS[2], ARGV[3]) "
    "redis.setresp(tonumber(ARGV[1])) "
    "return redis.pcall(ARGV[2], KEYS[1], unpack(ARGV, 3))";

constexpr std::string_view kNotedWrites =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('ERR no such index') end "
    "local added = 0 "
    "for at = 1, #ARGV, 4000 do "
    "  local last = math.min(at + 3999, #ARGV) "
    "  for i = at, last, 2 do redis.call('SADD', KEYS[2], ARGV[i]) end "
    "  local reply = redis.pcall('ENGRAM.VMADD', KEYS[1], unpack(ARGV, at, last)) "
    "  if type(reply) == 'table' then return reply end "
    "  added = added + reply "
    "end "
    "return added";

/// KEYS: the new name and that of its notes, and the same of each former one.
constexpr std::string_view kRename =
    "#!lua flags=allow-oom\n"
    "for i = 3, #KEYS, 2 do "
    "  if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[i]) == 1 then "
    "    redis.call('RENAME', KEYS[i], KEYS[1]) "
    "    if ARGV[1] == 'keep' and redis.call('EXISTS', KEYS[i + 1]) == 1 then "
    "      redis.call('RENAME', KEYS[i + 1], KEYS[2]) "
    "    end "
    "  end "
    "  if ARGV[1] ~= 'keep' then redis.call('UNLINK', KEYS[i + 1]) end "
    "end "
    "if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('ERR no such index') end "
    "return redis.status_reply('OK')";

constexpr std::string_view kRead =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('ERR no such index') end "
    "local names = ARGV "
    "if KEYS[2] then names = redis.call('SPOP', KEYS[2], ARGV[1]) end "
    "local told = {} "
    "for _, name in ipairs(names) do "
    "  told[#told + 1] = name "
    "  told[#told + 1] = redis.call('ENGRAM.VGET', KEYS[1], name) "
    "  told[#told + 1] = redis.call('ENGRAM.VGETATTR', KEYS[1], name) "
    "end "
    "return told";

/// ARGV: how many items there are, keys and vectors in turn; then of each its key and attributes,
/// in turn; then keys of none.
constexpr std::string_view kWrite =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('ERR no such index') end "
    "local count = tonumber(ARGV[1]) "
    "local function done(...) "
    "  local reply = redis.pcall(...) "
    "  if type(reply) == 'table' and reply.err then return reply end "
    "end "
    "local failed = nil "
    "if count > 0 then "
    "  failed = done('ENGRAM.VMADD', KEYS[1], unpack(ARGV, 2, 1 + 2 * count)) "
    "end "
    "for i = 2 + 2 * count, 1 + 4 * count, 2 do "
    "  if failed then return failed end "
    "  if ARGV[i + 1] ~= '' or redis.call('ENGRAM.VGETATTR', KEYS[1], ARGV[i]) then "
    "    failed = done('ENGRAM.VSETATTR', KEYS[1], ARGV[i], ARGV[i + 1]) "
    "  end "
    "end "
    "for i = 2 + 4 * count, #ARGV do "
    "  if failed then return failed end "
    "  failed = done('ENGRAM.VDEL', KEYS[1], ARGV[i]) "
    "end "
    "return failed or redis.status_reply('OK')";

constexpr std::string_view kHold =
    "#!lua flags=allow-oom\n"
    "local told = redis.call('GET', KEYS[1]) "
    "if told and string.match(told, '^%d+') ~= string.match(ARGV[1], '^%d+') then "
    "  return false "
    "end "
    "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])";

constexpr std::string_view kRelease =
    "#!lua flags=allow-oom\n"
    "local told = redis.call('GET', KEYS[1]) "
    "if told and string.match(told, '^%d+') == ARGV[1] then redis.call('UNLINK', KEYS[1]) end "
    "return redis.status_reply('OK')";

}  // namespace

Result<std::string> noted_write(const std::string& partition_key,
                                const std::vector<std::string>& argv, RespVersion version) {
  std::vector<std::string> words = {version == RespVersion::kResp3 ? "3" : "2",
                                    "ENGRAM." + to_upper(argv[0]), argv[2]};
  std::size_t at = 3;
  if (argv[0] == "vadd" && argv.size() > kMostWords) {
    const auto end = append_packed(words, argv, at);
    if (!end) return tl::unexpected<Error>(end.error());
    at = *end;
  }
  if (argv.size() - at > kMostWords) {
    return fail(ErrorCode::kInvalidArgument, "a write has at most " + std::to_string(kMostWords) +
                                                 " words beside its vector while an index grows");
  }
  words.insert(words.end(), argv.begin() + static_cast<std::ptrdiff_t>(at), argv.end());
  return eval(kNotedWrite, {partition_key, notes_key(partition_key)}, words);
}

Result<std::string> noted_writes(const std::string& partition_key,
                                 const std::vector<std::string>& items) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < items.size();) {
    words.push_back(items[at]);
    const auto end = append_packed(words, items, at + 1);
    if (!end) return tl::unexpected<Error>(end.error());
    at = *end;
  }
  return eval(kNotedWrites, {partition_key, notes_key(partition_key)}, words);
}

std::string rename_command(const Layout& layout, std::size_t p, bool keeps_notes) {
  std::vector<std::string> keys = {layout.keys[p], notes_key(layout.keys[p])};
  const std::string tag = partition_tag(p, layout.partitions);
  for (const Placement& former : layout.from) {
    keys.push_back(partition_key(layout.index, tag, former.epoch));
    keys.push_back(notes_key(keys.back()));
  }
  return eval(kRename, keys, {keeps_notes ? "keep" : "forget"});
}

std::string read_command(const std::string& partition_key, const std::vector<std::string>& keys) {
  return eval(kRead, {partition_key}, keys);
}

std::string take_notes_command(const std::string& partition_key, std::size_t count) {
  return eval(kRead, {partition_key, notes_key(partition_key)}, {std::to_string(count)});
}

Result<std::vector<ItemCopy>> read_items(const Reply& reply) {
  constexpr std::size_t kFields = 3;
  std::vector<ItemCopy> items;
  if (!reply.is_array() || reply.items.size() % kFields != 0) {
    return fail(ErrorCode::kDataLoss, "what a partition answers is not what items are");
  }
  for (std::size_t i = 0; i < reply.items.size(); i += kFields) {
    items.push_back({.key = reply.items[i].text,
                     .is_there = !reply.items[i + 1].is_null(),
                     .vector = reply.items[i + 1].text,
                     .attributes = reply.items[i + 2].text});
  }
  return items;
}

bool is_exact(const ItemCopy& item, std::string_view metric) {
  if (metric != "cosine" || !item.is_there) return true;
  std::vector<float> vector(item.vector.size() / sizeof(float));
  std::memcpy(vector.data(), item.vector.data(), vector.size() * sizeof(float));
  std::vector<std::byte> row(row_bytes(vector.size()));
  return encode_row(Metric::kCosine, vector, row.data()) == 1;
}

std::string write_command(const std::string& partition_key, const std::vector<ItemCopy>& items) {
  std::vector<std::string> vectors;
  std::vector<std::string> attributes;
  std::vector<std::string> gone;
  for (const ItemCopy& item : items) {
    if (!item.is_there) {
      gone.push_back(item.key);
      continue;
    }
    vectors.insert(vectors.end(), {item.key, item.vector});
    attributes.insert(attributes.end(), {item.key, item.attributes});
  }
  std::vector<std::string> words = {std::to_string(vectors.size() / 2)};
  for (const auto* const more : {&vectors, &attributes, &gone}) {
    words.insert(words.end(), more->begin(), more->end());
  }
  return eval(kWrite, {partition_key}, words);
}

std::string lease_key(std::string_view index) {
  return meta_key(index) + ":growth";
}

std::string GrowthProgress::text() const {
  return std::to_string(holder) + " " + std::to_string(copied) + " " + std::to_string(items);
}

GrowthProgress GrowthProgress::parse(std::string_view text) {
  GrowthProgress progress;
  for (std::uint64_t* const field : {&progress.holder, &progress.copied, &progress.items}) {
    const std::size_t end = std::min(text.find(' '), text.size());
    *field = parse_number<std::uint64_t>(text.substr(0, end)).value_or(0);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return progress;
}

std::string hold_command(std::string_view index, const GrowthProgress& progress,
                         std::int64_t keep_ms) {
  return eval(kHold, {lease_key(index)}, {progress.text(), std::to_string(keep_ms)});
}

std::string release_command(std::string_view index, std::uint64_t holder) {
  return eval(kRelease, {lease_key(index)}, {std::to_string(holder)});
}

}  // namespace engram::router
