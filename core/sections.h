// SPDX-License-Identifier: Apache-2.0
// How an index hands its structure to a snapshot and takes it back, without knowing about files.
#pragma once

#include <cstddef>
#include <memory>
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

/// What keeps placed bytes usable. It goes before their memory does.
class Placement {
 public:
  virtual ~Placement() = default;

  /// Has the system begin to read what the first touch of these `rows`, of `row_bytes` each, will
  /// wait for. Returns false once nothing of all that was placed is left to be verified: then there
  /// is no need to ask again. Any thread.
  virtual bool fetch(std::span<const std::byte* const> rows, std::size_t row_bytes) noexcept = 0;
};

/// Gives back what a SectionWriter took. The bytes are foreign: an index checks all that it relies
/// on, and answers kDataLoss when they cannot be its own.
///
/// There are two ways to them. section() is for what is read at once: the layer that knows files
/// verifies its checksums before it returns. place() is for what is too large to be read before the
/// first search: a block of it is read and verified when it is first touched. A block that turns
/// out to be damaged reads as zeros, so an index must see to it that no value of those bytes makes
/// it leave its memory, crash, or loop for ever; the layer that placed them knows of the damage and
/// withholds the answers.
class SectionReader {
 public:
  virtual ~SectionReader() = default;

  /// The bytes of section `name`, aligned to a row (row.h) and verified. They stay valid while the
  /// reader lives. Errors: kDataLoss when there is no such section, or it is damaged.
  virtual Result<std::span<const std::byte>> section(std::string_view name) = 0;

  /// How many bytes section `name` has. Errors: kDataLoss when there is no such section.
  virtual Result<std::size_t> size(std::string_view name) = 0;

  /// Puts the bytes of section `name` at `address`: page-aligned memory of the process that is
  /// readable, writable and at least as large as the section rounded up to a page. A reader of
  /// files replaces its pages by private ones of the file, copied when they are written, which are
  /// verified when they are touched; a reader of memory copies. Up to the end of the last page the
  /// bytes behind the section are zero, unless the file is damaged. What was placed does not need
  /// the reader to live on, but what is returned, which may be null; writing to it never changes
  /// the source. Only the process itself may touch it, no system call. Errors: kDataLoss when there
  /// is no such section, or a small one is damaged; kIo; after both the memory holds anything.
  virtual Result<std::unique_ptr<Placement>> place(std::string_view name, std::byte* address) = 0;
};

}  // namespace engram
