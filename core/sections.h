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
///
/// There are two ways to them. section() is for what is read at once: the layer that knows files
/// verifies its checksum before it returns. place() is for what is too large to be read before the
/// first search: its checksum is verified later, in the background, so an index must see to it that
/// no value of those bytes makes it leave its memory, crash, or loop for ever. Wrong answers are
/// the verifier's business.
class SectionReader {
 public:
  virtual ~SectionReader() = default;

  /// The bytes of section `name`, page-aligned and verified. They stay valid while the reader
  /// lives. Errors: kDataLoss when there is no such section, or it is damaged.
  virtual Result<std::span<const std::byte>> section(std::string_view name) = 0;

  /// How many bytes section `name` has. Errors: kDataLoss when there is no such section.
  virtual Result<std::size_t> size(std::string_view name) = 0;

  /// Puts the bytes of section `name`, not verified, at `address`: page-aligned memory of the
  /// process that is readable, writable and at least as large as the section rounded up to a page.
  /// A reader of files replaces its pages by private ones of the file, copied when they are
  /// written, so nothing is read now; a reader of memory copies. Up to the end of the last page
  /// the bytes behind the section are zero, unless the file is damaged. What was placed does not
  /// need the reader to live on, and writing to it never changes the source.
  /// Errors: kDataLoss when there is no such section; kIo, and then the memory holds anything.
  virtual Status place(std::string_view name, std::byte* address) = 0;
};

}  // namespace engram
