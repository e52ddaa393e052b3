// SPDX-License-Identifier: Apache-2.0
// Sections kept in memory, for testing save() and load() without files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/reserved_memory.h"
#include "core/sections.h"

namespace engram::test {

/// What an index saved, by section; tests may read and damage it.
struct Sections : std::map<std::string, std::vector<std::byte>, std::less<>> {};

class MemorySectionWriter final : public SectionWriter {
 public:
  explicit MemorySectionWriter(Sections& sections) : sections_(&sections) {}

  Status begin(std::string_view name) override {
    if (name.empty() || name.size() > 32 || sections_->contains(name)) {
      return fail(ErrorCode::kInvalidArgument, "bad section name '" + std::string(name) + "'");
    }
    current_ = &(*sections_)[std::string(name)];
    return {};
  }

  Status append(std::span<const std::byte> bytes) override {
    if (current_ == nullptr) return fail(ErrorCode::kInvalidArgument, "no section was begun");
    current_->insert(current_->end(), bytes.begin(), bytes.end());
    return {};
  }

 private:
  Sections* sections_;
  std::vector<std::byte>* current_ = nullptr;
};

class MemorySectionReader final : public SectionReader {
 public:
  explicit MemorySectionReader(const Sections& sections) : sections_(&sections) {}

  Result<std::span<const std::byte>> section(std::string_view name) override {
    const auto found = sections_->find(name);
    if (found == sections_->end()) {
      return fail(ErrorCode::kDataLoss, "no section '" + std::string(name) + "'");
    }
    return std::span<const std::byte>(found->second);
  }

  Result<std::size_t> size(std::string_view name) override {
    const auto bytes = section(name);
    if (!bytes) return tl::unexpected(bytes.error());
    return bytes->size();
  }

  Result<std::unique_ptr<Placement>> place(std::string_view name, std::byte* address) override {
    const auto bytes = section(name);
    if (!bytes) return tl::unexpected(bytes.error());
    placed_.emplace(name);
    const std::size_t whole_pages = round_up(bytes->size(), kPageBytes);
    std::fill(std::copy(bytes->begin(), bytes->end(), address), address + whole_pages,
              std::byte{0});
    return nullptr;
  }

  /// The sections that were placed: a reader of files would not have verified them.
  const std::set<std::string, std::less<>>& placed() const { return placed_; }

 private:
  const Sections* sections_;
  std::set<std::string, std::less<>> placed_;
};

}  // namespace engram::test
