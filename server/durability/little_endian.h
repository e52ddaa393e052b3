// SPDX-License-Identifier: Apache-2.0
// Numbers and strings as FORMAT.md stores them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace engram {

// Rows and links are mapped from files as they are, so an order of bytes is not a matter of
// encoding alone.
static_assert(std::endian::native == std::endian::little);

inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::span<const std::byte> as_span(std::string_view text) noexcept {
  return std::as_bytes(std::span(text));
}

template <class T>
void put_number(std::string& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Puts a number over the bytes at `offset`, which are there.
template <class T>
void overwrite_number(std::string& bytes, std::size_t offset, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

inline void put_string(std::string& out, std::string_view text) {
  put_number(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

/// Takes values off the front of bytes of which nothing is known. After the first that is not there
/// whole, everything reads as zero or empty, and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  T number() noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::string_view taken = take(sizeof value);
    if (ok_) std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }

  std::string_view string() noexcept { return take(number<std::uint32_t>()); }

  std::string_view take(std::size_t count) noexcept {
    ok_ = ok_ && count <= bytes_.size();
    if (!ok_) return {};
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace engram
