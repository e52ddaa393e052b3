// SPDX-License-Identifier: Apache-2.0
// How an index hands its structure to a snapshot and takes it back, without knowing about files.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/result.h"

namespace engram {

/// Takes named runs of bytes. One section is written at a time, from its begin to the next.
class SectionWriter {
 public:
  virtual ~SectionWriter() = default;

  /// Starts the section `name` (unique within the index, ASCII, at most 32 bytes); it starts on a
  /// page boundary, so that a reader may map it.
  virtual Status begin(std::string_view name) = 0;

  /// Adds bytes to the section that was begun last. Errors: kIo.
  virtual Status append(std::span<const std::byte> bytes) = 0;
};

/// Gives back what a SectionWriter took. The bytes are foreign: an index checks all that it relies
/// on, and answers kDataLoss when they cannot be its own.
class SectionReader {
 public:
  virtual ~SectionReader() = default;

  /// The bytes of section `name`, page-aligned. They stay valid while the reader lives.
  /// Errors: kDataLoss when there is no such section.
  virtual Result<std::span<const std::byte>> section(std::string_view name) = 0;
};

}  // namespace engram
