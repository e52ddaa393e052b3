// SPDX-License-Identifier: Apache-2.0
#include "server/durability/change.h"

#include "server/durability/little_endian.h"
#include "server/durability/trace_fields.h"

namespace engram {
namespace {

/// The byte that a change begins with; never to be renumbered.
enum class Type : std::uint8_t {
  kSetString = 1,
  kAppendString = 2,
  kEraseKey = 3,
  kSetExpiry = 4,
  kClearKeys = 5,
  kNewCollection = 6,
  kPutVector = 7,
  kEraseVector = 8,
  kTuneIndex = 9,
  kOverwriteString = 10,
  kMoveCollection = 11,
  kSetStrength = 12,
  kSetAttributes = 13,
};

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void operator()(const SetString& change) {
    begin(Type::kSetString, change.key);
    put_number(out_, change.expires_ms);
    put_string(out_, change.value);
  }
  void operator()(const AppendString& change) {
    begin(Type::kAppendString, change.key);
    put_number(out_, change.offset);
    put_string(out_, change.suffix);
  }
  void operator()(const EraseKey& change) { begin(Type::kEraseKey, change.key); }
  void operator()(const SetExpiry& change) {
    begin(Type::kSetExpiry, change.key);
    put_number(out_, change.expires_ms);
  }
  void operator()(const ClearKeys&) { begin(Type::kClearKeys); }
  void operator()(const NewCollection& change) {
    begin(Type::kNewCollection, change.key);
    put_number(out_, change.expires_ms);
    put_number(out_, change.id);
    put_number(out_, change.dim);
    put_string(out_, change.metric);
    put_string(out_, change.primitive);
    put_number(out_, static_cast<std::uint32_t>(change.options.size()));
    for (const auto& [option, value] : change.options) {
      put_string(out_, option);
      put_string(out_, value);
    }
  }
  void operator()(const PutVector& change) {
    begin(Type::kPutVector);
    put_number(out_, change.id);
    put_number(out_, change.slot);
    put_string(out_, change.key);
    put_string(out_, change.vector);
  }
  void operator()(const EraseVector& change) {
    begin(Type::kEraseVector);
    put_number(out_, change.id);
    put_string(out_, change.key);
  }
  void operator()(const TuneIndex& change) {
    begin(Type::kTuneIndex);
    put_number(out_, change.id);
    put_number(out_, static_cast<std::uint32_t>(change.numbers.size()));
    for (const auto& [name, value] : change.numbers) {
      put_string(out_, name);
      put_number(out_, value);
    }
  }
  void operator()(const OverwriteString& change) {
    begin(Type::kOverwriteString, change.key);
    put_number(out_, change.offset);
    put_string(out_, change.bytes);
  }
  void operator()(const MoveCollection& change) {
    begin(Type::kMoveCollection, change.key);
    put_number(out_, change.expires_ms);
    put_number(out_, change.id);
  }
  void operator()(const SetStrength& change) {
    begin(Type::kSetStrength);
    put_number(out_, change.id);
    put_string(out_, change.key);
    put_number(out_, change.ms);
    put_trace(out_, change.trace);
  }
  void operator()(const SetAttributes& change) {
    begin(Type::kSetAttributes);
    put_number(out_, change.id);
    put_string(out_, change.key);
    put_string(out_, change.text);
  }

 private:
  void begin(Type type) { put_number(out_, type); }
  void begin(Type type, std::string_view key) {
    begin(type);
    put_string(out_, key);
  }

  std::string& out_;
};

NewCollection decode_collection(FieldReader& fields) {
  NewCollection change{.key = fields.string(),
                       .expires_ms = fields.number<std::int64_t>(),
                       .id = fields.number<std::uint64_t>(),
                       .dim = fields.number<std::uint32_t>(),
                       .metric = fields.string(),
                       .primitive = fields.string(),
                       .options = {}};
  const auto count = fields.number<std::uint32_t>();
  // The count is not believed: the loop ends where the bytes do.
  for (std::uint32_t i = 0; i < count && fields.ok(); ++i) {
    const std::string_view option = fields.string();
    change.options.emplace_back(option, fields.string());
  }
  return change;
}

TuneIndex decode_tuning(FieldReader& fields) {
  TuneIndex change{.id = fields.number<std::uint64_t>(), .numbers = {}};
  const auto count = fields.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && fields.ok(); ++i) {  // as above
    const std::string_view name = fields.string();
    change.numbers.emplace_back(name, fields.number<double>());
  }
  return change;
}

// Members of a braced list are read in their order.
Change decode_content(Type type, FieldReader& fields) {
  switch (type) {
    case Type::kSetString:
      return SetString{fields.string(), fields.number<std::int64_t>(), fields.string()};
    case Type::kAppendString:
      return AppendString{fields.string(), fields.number<std::uint64_t>(), fields.string()};
    case Type::kEraseKey:
      return EraseKey{fields.string()};
    case Type::kSetExpiry:
      return SetExpiry{fields.string(), fields.number<std::int64_t>()};
    case Type::kClearKeys:
      return ClearKeys{};
    case Type::kNewCollection:
      return decode_collection(fields);
    case Type::kPutVector:
      return PutVector{fields.number<std::uint64_t>(), fields.number<Slot>(), fields.string(),
                       fields.string()};
    case Type::kEraseVector:
      return EraseVector{fields.number<std::uint64_t>(), fields.string()};
    case Type::kTuneIndex:
      return decode_tuning(fields);
    case Type::kOverwriteString:
      return OverwriteString{fields.string(), fields.number<std::uint64_t>(), fields.string()};
    case Type::kMoveCollection:
      return MoveCollection{fields.string(), fields.number<std::int64_t>(),
                            fields.number<std::uint64_t>()};
    case Type::kSetStrength:
      return SetStrength{fields.number<std::uint64_t>(), fields.string(),
                         fields.number<std::int64_t>(), read_trace(fields)};
    case Type::kSetAttributes:
      return SetAttributes{fields.number<std::uint64_t>(), fields.string(), fields.string()};
  }
  return ClearKeys{};  // unreachable: decode() has checked the type
}

}  // namespace

void encode(const Change& change, std::string& out) {
  std::visit(Encoder(out), change);
}

Result<Change> decode(std::string_view& bytes) {
  FieldReader fields(bytes);
  const auto type = fields.number<std::uint8_t>();
  if (!fields.ok()) return fail(ErrorCode::kDataLoss, "a change has no bytes");
  if (type < static_cast<std::uint8_t>(Type::kSetString) ||
      type > static_cast<std::uint8_t>(Type::kSetAttributes)) {
    return fail(ErrorCode::kDataLoss,
                "there is no change of type " + std::to_string(unsigned{type}));
  }
  Change change = decode_content(static_cast<Type>(type), fields);
  if (!fields.ok()) {
    return fail(ErrorCode::kDataLoss, "a change of type " + std::to_string(unsigned{type}) +
                                          " goes beyond the bytes that hold it");
  }
  bytes = fields.rest();
  return change;
}

}  // namespace engram
