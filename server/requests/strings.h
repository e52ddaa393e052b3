// SPDX-License-Identifier: Apache-2.0
// Parts of strings, and strings as real numbers. All are done when they return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/engine/store.h"

namespace engram {

/// Errors: kWrongType if the key holds something else. A missing key will do.
Status check_string(Store& store, std::string_view key);

/// The bytes from `first` to `last`, both included; -1 is the last byte of the string, and what
/// lies outside it is left out. Empty if the key is missing. Valid until the next change. Errors:
/// kWrongType.
Result<std::string_view> read_range(Store& store, std::string_view key, std::int64_t first,
                                    std::int64_t last);

struct WriteRangeRequest {
  std::string_view key;
  std::int64_t offset;
  std::string_view bytes;
  std::size_t most_bytes;  ///< that the string may have
};

/// Overwrites a part of a string, made of zeros as far as it is missing. Answers the new length; no
/// bytes change nothing. Errors: kInvalidArgument, kWrongType; kResourceExhausted if a transaction
/// changes too much.
Result<std::size_t> write_range(Store& store, const WriteRangeRequest& request);

/// The number that all of `text` spells, in the ways of strtold; not NaN.
std::optional<long double> parse_real(std::string_view text);

/// Adds to the number at `key`, 0 if missing, and answers what the key holds then: the number with
/// up to 17 decimals. Errors: kWrongType, kInvalidArgument.
Result<std::string> add_real(Store& store, std::string_view key, long double amount);

struct StringItem {
  std::string_view key;
  std::string_view value;
};

/// Sets all, the last one of a key counting, or none if one of the keys is there. Answers whether
/// they were set.
bool set_if_all_missing(Store& store, std::span<const StringItem> items);

}  // namespace engram
