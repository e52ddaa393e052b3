// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace engram {

/// What stored rows are made of.
///
/// kF32  float32, as the vector was given (row.h)
/// kSq8  scalar quantisation to 8 bits a component, with an offset and a scale per vector (codes.h)
/// kSq4  the same with 4 bits
/// kBin  the signs of components, and one magnitude for all of a vector
enum class Element : std::uint8_t { kF32, kSq8, kSq4, kBin };

inline constexpr Element kElements[] = {Element::kF32, Element::kSq8, Element::kSq4, Element::kBin};
inline constexpr std::string_view kElementNames[] = {"f32", "sq8", "sq4", "bin"};  // in that order

/// The name that commands use.
constexpr std::string_view element_name(Element element) noexcept {
  return kElementNames[static_cast<std::size_t>(element)];
}

/// The element of exactly that name, or nothing.
constexpr std::optional<Element> element_from_name(std::string_view name) noexcept {
  for (const Element element : kElements) {
    if (element_name(element) == name) return element;
  }
  return std::nullopt;
}

}  // namespace engram
