// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/slot_map.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/text.h"

namespace engram::router {
namespace {

tl::unexpected<Error> no_map() {
  return fail(ErrorCode::kDataLoss, "what answered CLUSTER NODES is no node of a Redis Cluster");
}

/// Of an array of host, port, ...; empty if it is none.
Address node_address(const Reply& node, std::string_view from) {
  using Kind = Reply::Kind;
  if (node.kind != Kind::kArray || node.items.size() < 2) return {};
  if (node.items[1].kind != Kind::kInteger) return {};
  std::string_view host = node.items[0].text;
  // Not told, or unknown to the node: the client is to take that by which it has come.
  if (host.empty() || host == "?") host = from.substr(0, from.rfind(':'));
  return std::string(host) + ":" + std::to_string(node.items[1].integer);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// Addresses by the ids of nodes. Replicas that have failed are not among them.
using AddressBook = std::map<std::string, Address, std::less<>>;

/// Of the reply to CLUSTER SLOTS: ranges of first, last, and nodes.
std::optional<AddressBook> read_addresses(const Reply& slots, std::string_view from) {
  if (!slots.is_array()) return std::nullopt;
  AddressBook book;
  for (const Reply& range : slots.items) {
    if (!range.is_array() || range.items.size() < 3) return std::nullopt;
    for (std::size_t i = 2; i < range.items.size(); ++i) {
      const Reply& node = range.items[i];
      Address address = node_address(node, from);
      if (!address.empty() && node.items.size() > 2) book[node.items[2].text] = std::move(address);
    }
  }
  return book;
}

/// id ip:port@bus-port,host flags master-id ping pong epoch link-state slot...
struct NodeLine {
  std::string_view id;
  Address address;
  std::vector<std::string_view> flags;
  std::string_view master_id;
  std::uint64_t epoch = 0;
  std::vector<std::string_view> slots;

  [[nodiscard]] bool is(std::string_view flag) const {
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
  }
};

std::optional<NodeLine> read_node(std::string_view text, const AddressBook& book,
                                  std::string_view from) {
  constexpr std::size_t kFields = 8;
  const std::vector<std::string_view> words = split(text, ' ');
  if (words.size() < kFields) return std::nullopt;
  const auto epoch = parse_number<std::uint64_t>(words[6]);
  if (!epoch) return std::nullopt;
  NodeLine node = {.id = words[0],
                   .address = std::string(words[1].substr(0, words[1].find_first_of("@,"))),
                   .flags = split(words[2], ','),
                   .master_id = words[3],
                   .epoch = *epoch,
                   .slots = {words.begin() + kFields, words.end()}};
  if (const auto known = book.find(node.id); known != book.end()) {
    node.address = known->second;
  } else if (node.address.starts_with(':')) {  // the node does not know its own host
    node.address.insert(0, from.substr(0, from.rfind(':')));
  }
  return node;
}

struct SlotRange {
  std::uint16_t first;
  std::uint16_t last;
};

/// Of "7" or "7-11".
std::optional<SlotRange> read_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number<std::uint16_t>(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : parse_number<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last >= kSlots) return std::nullopt;
  return SlotRange{*first, *last};
}

}  // namespace

Result<Endpoint> parse_address(std::string_view address) {
  constexpr int kMostPort = 65535;
  const std::size_t colon = address.rfind(':');
  const auto port =
      colon == std::string_view::npos ? std::nullopt : parse_number<int>(address.substr(colon + 1));
  if (!port || *port < 1 || *port > kMostPort || colon == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(address) + "' is no address, expected host:port");
  }
  std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return Endpoint{.host = std::string(host), .port = *port};
}

Result<SlotMap> SlotMap::parse(const Reply& nodes, const Reply& slots, std::string_view from) {
  const auto book = read_addresses(slots, from);
  if (nodes.kind != Reply::Kind::kText || !book) return no_map();
  SlotMap map;
  std::vector<NodeLine> lines;
  for (const std::string_view text : split(nodes.text, '\n')) {
    auto line = read_node(text, *book, from);
    if (!line) return no_map();
    if (line->is("myself")) map.teller_ = line->address;
    lines.push_back(std::move(*line));
  }
  for (const NodeLine& line : lines) {
    if (!line.is("master") || line.is("noaddr") || line.slots.empty()) continue;
    Shard shard = {.master = line.address, .replicas = {}};
    for (const NodeLine& other : lines) {
      const bool is_replica = other.is("slave") && other.master_id == line.id;
      if (is_replica && book->contains(other.id)) shard.replicas.push_back(other.address);
    }
    const std::uint16_t placed = map.place(shard);
    for (const std::string_view text : line.slots) {
      if (text.starts_with('[')) continue;  // on its way to or from another node
      const auto range = read_range(text);
      if (!range) return no_map();
      const auto count = range->last - range->first + 1;
      std::fill_n(map.shard_of_.begin() + range->first, count, placed);
      std::fill_n(map.epochs_.begin() + range->first, count, line.epoch);
    }
  }
  return map;
}

const Shard* SlotMap::find(std::uint16_t slot) const noexcept {
  if (slot >= shard_of_.size() || shard_of_[slot] == kNobody) return nullptr;
  return &shards_[shard_of_[slot]];
}

/// The number of the shard of that master, which is made if there is none.
std::uint16_t SlotMap::place(const Shard& shard) {
  const auto has_master = [&](const Shard& other) { return other.master == shard.master; };
  auto known = std::find_if(shards_.begin(), shards_.end(), has_master);
  if (known == shards_.end()) known = shards_.insert(known, shard);
  return static_cast<std::uint16_t>(known - shards_.begin());
}

bool SlotMap::is_overruled_by(const SlotMap& told, std::uint16_t slot) const noexcept {
  const Shard* const owner = find(slot);
  if (owner != nullptr && owner->master == told.teller_) return true;
  return told.find(slot) != nullptr && told.epochs_[slot] >= epochs_[slot];
}

void SlotMap::learn(const SlotMap& told) {
  SlotMap merged;
  // What is told comes first: of a master in both it has the newer replicas.
  for (const bool is_told : {true, false}) {
    const SlotMap& source = is_told ? told : *this;
    std::vector<std::uint16_t> placed(source.shards_.size(), kNobody);
    for (std::uint16_t slot = 0; slot < kSlots; ++slot) {
      const std::uint16_t shard = source.shard_of_[slot];
      if (shard == kNobody || is_overruled_by(told, slot) != is_told) continue;
      if (placed[shard] == kNobody) placed[shard] = merged.place(source.shards_[shard]);
      merged.shard_of_[slot] = placed[shard];
    }
  }
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    merged.epochs_[slot] = std::max(epochs_[slot], told.epochs_[slot]);
  }
  *this = std::move(merged);
}

void SlotMap::redirect(std::uint16_t slot, const Address& from, const Address& to) {
  const Shard* const owner = find(slot);
  if (owner == nullptr || owner->master == from) shard_of_[slot] = place({to, {}});
}

std::size_t SlotMap::covered() const noexcept {
  return static_cast<std::size_t>(std::count_if(shard_of_.begin(), shard_of_.end(),
                                                [](auto shard) { return shard != kNobody; }));
}

}  // namespace engram::router
