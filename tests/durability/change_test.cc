// SPDX-License-Identifier: Apache-2.0
#include "server/durability/change.h"

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"
#include "tests/support/seed.h"

namespace engram::test::change_test {
namespace {

using Rng = std::mt19937_64;

std::string encoded(const Change& change) {
  std::string bytes;
  encode(change, bytes);
  return bytes;
}

/// Owns the text of random changes.
class Generator {
 public:
  explicit Generator(Rng rng) : rng_(std::move(rng)) { texts_.reserve(1 << 16); }

  Change change() {
    switch (rng_() % 13) {
      case 0:
        return SetString{text(), number<std::int64_t>(), text()};
      case 1:
        return AppendString{text(), number<std::uint64_t>(), text()};
      case 2:
        return EraseKey{text()};
      case 3:
        return SetExpiry{text(), number<std::int64_t>()};
      case 4:
        return ClearKeys{};
      case 5:
        return collection();
      case 6:
        return PutVector{number<std::uint64_t>(), number<Slot>(), text(), text()};
      case 7:
        return tuning();
      case 8:
        return OverwriteString{text(), number<std::uint64_t>(), text()};
      case 9:
        return MoveCollection{text(), number<std::int64_t>(), number<std::uint64_t>()};
      case 10:
        return SetStrength{number<std::uint64_t>(), text(), number<std::int64_t>(), trace()};
      case 11:
        return SetAttributes{number<std::uint64_t>(), text(), text()};
      default:
        return EraseVector{number<std::uint64_t>(), text()};
    }
  }

 private:
  template <class T>
  T number() {
    return static_cast<T>(rng_() >> (rng_() % 64));
  }

  Trace trace() {
    Trace trace;
    trace.kind = static_cast<TraceKind>(rng_() % kTraceKinds);
    trace.amount = std::bit_cast<double>(rng_());
    const bool is_level = trace.kind == TraceKind::kLevel || trace.kind == TraceKind::kPinned;
    if (!is_level) trace.ms = number<std::int64_t>();
    if (trace.kind == TraceKind::kOwnHalfLife) trace.half_life_ms = number<std::int64_t>();
    if (trace.kind != TraceKind::kUses) return trace;
    trace.recent_count = static_cast<std::uint32_t>(rng_() % (Trace::kRecent + 1));
    for (std::size_t i = 0; i < trace.recent_count; ++i) {
      trace.recent[i] = {number<std::int64_t>(), std::bit_cast<double>(rng_())};
    }
    return trace;
  }

  std::string_view text() {
    std::string bytes(rng_() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(rng_());
    return texts_.emplace_back(std::move(bytes));
  }

  Change collection() {
    NewCollection change{text(),
                         number<std::int64_t>(),
                         number<std::uint64_t>(),
                         number<std::uint32_t>(),
                         text(),
                         text(),
                         {}};
    for (std::uint64_t i = rng_() % 4; i > 0; --i) {
      const std::string_view option = text();
      change.options.emplace_back(option, text());
    }
    return change;
  }

  Change tuning() {
    TuneIndex change{number<std::uint64_t>(), {}};
    for (std::uint64_t i = rng_() % 4; i > 0; --i) {
      change.numbers.emplace_back(text(), std::bit_cast<double>(rng_()));
    }
    return change;
  }

  Rng rng_;
  std::vector<std::string> texts_;
};

TEST_CASE("durability/checksum: is the CRC-32C that others compute, whole or in pieces") {
  CHECK(crc32c({}) == 0);
  CHECK(crc32c(as_span("123456789")) == 0xE3069283);
  CHECK(crc32c(as_span("6789"), crc32c(as_span("12345"))) == 0xE3069283);
  CHECK(crc32c(as_span(std::string(32, '\0'))) == 0x8A9136AA);  // RFC 3720, B.4
  CHECK(crc32c(as_span(std::string(32, '\xff'))) == 0x62A8AB43);
}

TEST_CASE("durability/change: the bytes are those of FORMAT.md") {
  using namespace std::string_literals;
  CHECK(encoded(SetString{"k", 258, "v"}) ==
        "\x01\x01\x00\x00\x00k\x02\x01\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00v"s);
  CHECK(encoded(AppendString{"k", 3, "vv"}) ==
        "\x02\x01\x00\x00\x00k\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00vv"s);
  CHECK(encoded(EraseKey{"key"}) == "\x03\x03\x00\x00\x00key"s);
  CHECK(encoded(SetExpiry{"", kNeverExpires}) ==
        "\x04\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"s);
  CHECK(encoded(ClearKeys{}) == "\x05"s);
  CHECK(encoded(NewCollection{"c", 0, 9, 4, "l2", "flat", {{"o", "p"}}}) ==
        "\x06\x01\x00\x00\x00"
        "c\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00"
        "\x02\x00\x00\x00l2\x04\x00\x00\x00"
        "flat\x01\x00\x00\x00\x01\x00\x00\x00o\x01\x00\x00\x00p"s);
  CHECK(
      encoded(PutVector{1, 5, "k", "vvvv"}) ==
      "\x07\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00k\x04\x00\x00\x00vvvv"s);
  CHECK(encoded(EraseVector{1, "k"}) == "\x08\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00k"s);
  CHECK(encoded(TuneIndex{1, {{"b", 1.5}}}) ==
        "\x09\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"
        "b\x00\x00\x00\x00\x00\x00\xf8\x3f"s);
  CHECK(encoded(OverwriteString{"k", 3, "vv"}) ==
        "\x0a\x01\x00\x00\x00k\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00vv"s);
  CHECK(encoded(MoveCollection{"k", 2, 9}) ==
        "\x0b\x01\x00\x00\x00k\x02\x00\x00\x00\x00\x00\x00\x00"
        "\x09\x00\x00\x00\x00\x00\x00\x00"s);
  CHECK(encoded(SetStrength{1, "k", 2, {.amount = 1.5}}) ==
        "\x0c\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
        "k\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf8\x3f"s);
  const Trace own = {
      .kind = TraceKind::kOwnHalfLife, .amount = 1.5, .ms = 3, .half_life_ms = 0x1234};
  CHECK(encoded(SetStrength{1, "k", 2, own}) ==
        "\x0c\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
        "k\x02\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\xf8\x3f"
        "\x03\x00\x00\x00\x00\x00\x00\x00\x34\x12\x00\x00\x00\x00\x00\x00"s);
  CHECK(encoded(SetAttributes{1, "k", "{}"}) ==
        "\x0d\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
        "k\x02\x00\x00\x00{}"s);
}

TEST_CASE("durability/change: what is decoded is what was encoded, one after the other") {
  Generator generator(make_rng(1));
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    std::vector<std::string> each;
    for (int i = 0; i < 10; ++i) {
      each.push_back(encoded(generator.change()));
      bytes += each.back();
    }
    std::string_view left = bytes;
    for (const std::string& one : each) {
      const auto change = decode(left);
      REQUIRE(change);
      CHECK(encoded(*change) == one);
    }
    CHECK(left.empty());
  }
}

TEST_CASE("durability/change: a part of a change is none, and takes nothing off") {
  Generator generator(make_rng(2));
  for (int round = 0; round < 300; ++round) {
    const std::string bytes = encoded(generator.change());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      std::string_view left = std::string_view(bytes).substr(0, length);
      const auto change = decode(left);
      REQUIRE_FALSE(change);
      CHECK(change.error().code == ErrorCode::kDataLoss);
      CHECK(left.size() == length);
    }
  }
}

TEST_CASE("durability/change: any bytes are decoded or refused, and re-encoded as they were") {
  Rng rng = make_rng(3);
  Generator generator(make_rng(4));
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = encoded(generator.change());
    for (std::uint64_t i = 1 + rng() % 3; i > 0; --i) {
      bytes[rng() % bytes.size()] = static_cast<char>(rng());
    }
    std::string_view left = bytes;
    if (const auto change = decode(left)) {
      CHECK(encoded(*change) == bytes.substr(0, bytes.size() - left.size()));
    }
  }
}

TEST_CASE("durability/change: counts and lengths are not believed") {
  std::string bytes = encoded(NewCollection{"", 0, 1, 1, "", "", {}});
  overwrite_number(bytes, bytes.size() - 4, ~std::uint32_t{0});
  std::string_view left = bytes;
  CHECK_FALSE(decode(left));
  bytes = encoded(TuneIndex{1, {}});
  overwrite_number(bytes, bytes.size() - 4, ~std::uint32_t{0});
  left = bytes;
  CHECK_FALSE(decode(left));
  bytes = encoded(EraseKey{"key"});
  overwrite_number(bytes, 1, ~std::uint32_t{0});
  left = bytes;
  CHECK_FALSE(decode(left));
  for (const char type : {'\0', '\x0a', '\xff'}) {
    bytes = type;
    left = bytes;
    CHECK_FALSE(decode(left));
  }
}

}  // namespace
}  // namespace engram::test::change_test
