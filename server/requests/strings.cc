// SPDX-License-Identifier: Apache-2.0
#include "server/requests/strings.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <variant>

#include "server/requests/keys.h"

namespace engram {
namespace {

/// The string at `key`, null if there is none.
Result<const std::string*> string_at(const Value* value) {
  if (value == nullptr) return nullptr;
  const auto* const text = std::get_if<std::string>(value);
  if (text == nullptr) return fail(ErrorCode::kWrongType, "the key holds no string");
  return text;
}

/// Decimals without zeros at their end; no number is "-0".
std::string real_text(long double number) {
  constexpr int kDecimals = 17;
  std::array<char, 5000> text;  // the largest has 4933 digits
  const int length = std::snprintf(text.data(), text.size(), "%.*Lf", kDecimals, number);
  std::string_view digits(text.data(), static_cast<std::size_t>(length));
  digits.remove_suffix(digits.size() - 1 - digits.find_last_not_of('0'));
  if (digits.ends_with('.')) digits.remove_suffix(1);
  return std::string(digits == "-0" ? "0" : digits);
}

}  // namespace

Status check_string(Store& store, std::string_view key) {
  const auto text = string_at(store.keyspace().peek(key));
  return text ? Status() : tl::unexpected(text.error());
}

Result<std::string_view> read_range(Store& store, std::string_view key, std::int64_t first,
                                    std::int64_t last) {
  const auto text = string_at(store.keyspace().find(key));
  if (!text) return tl::unexpected(text.error());
  if (*text == nullptr || (first < 0 && last < 0 && first > last)) return std::string_view();
  const auto size = static_cast<std::int64_t>((*text)->size());
  const auto from_start = [size](std::int64_t at) {
    return std::max<std::int64_t>(at < 0 ? size + at : at, 0);
  };
  const std::int64_t begin = from_start(first);
  const std::int64_t end = std::min(from_start(last), size - 1);
  if (begin > end) return std::string_view();
  return std::string_view(**text).substr(static_cast<std::size_t>(begin),
                                         static_cast<std::size_t>(end - begin + 1));
}

Result<std::size_t> write_range(Store& store, const WriteRangeRequest& request) {
  if (request.offset < 0) return fail(ErrorCode::kInvalidArgument, "offset is out of range");
  Keyspace& keyspace = store.keyspace();
  const auto text = string_at(keyspace.peek(request.key));
  if (!text) return tl::unexpected(text.error());
  const std::size_t former = *text == nullptr ? 0 : (*text)->size();
  if (request.bytes.empty()) return former;
  const auto offset = static_cast<std::size_t>(request.offset);
  if (offset > request.most_bytes || request.bytes.size() > request.most_bytes - offset) {
    return fail(ErrorCode::kInvalidArgument,
                "string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  if (offset > former) ENGRAM_TRY(check_room(keyspace, offset - former));
  return keyspace.write_range(request.key, offset, request.bytes);
}

std::optional<long double> parse_real(std::string_view text) {
  constexpr std::size_t kMostBytes = 5119;  // the largest number has 4933 digits
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  if (text.empty() || text.size() > kMostBytes) return std::nullopt;
  if (kSpaces.find(text.front()) != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  char* end = nullptr;
  errno = 0;
  const long double number = std::strtold(terminated.c_str(), &end);
  const bool is_whole = end == terminated.c_str() + terminated.size();
  if (!is_whole || std::isnan(number)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(number) || number == 0)) return std::nullopt;
  return number;
}

Result<std::string> add_real(Store& store, std::string_view key, long double amount) {
  Keyspace& keyspace = store.keyspace();
  const auto text = string_at(keyspace.peek(key));
  if (!text) return tl::unexpected(text.error());
  const auto former = *text == nullptr ? std::optional(0.0L) : parse_real(**text);
  if (!former) return fail(ErrorCode::kInvalidArgument, "value is not a valid float");
  const long double sum = *former + amount;
  if (!std::isfinite(sum)) {
    return fail(ErrorCode::kInvalidArgument, "increment would produce NaN or Infinity");
  }
  std::string written = real_text(sum);
  keyspace.set(key, written, /*keep_ttl=*/true, StringForm::kText);
  return written;
}

bool set_if_all_missing(Store& store, std::span<const StringItem> items) {
  Keyspace& keyspace = store.keyspace();
  if (std::any_of(items.begin(), items.end(),
                  [&](const StringItem& item) { return keyspace.contains(item.key); })) {
    return false;
  }
  for (const StringItem& item : items) keyspace.set(item.key, std::string(item.value));
  return true;
}

}  // namespace engram
