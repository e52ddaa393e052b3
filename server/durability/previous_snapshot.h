// SPDX-License-Identifier: Apache-2.0
// The snapshot before the newest one. It is kept, and with it the journal since, until the newest
// is known to be sound: what the newest has lost, these two have.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

enum class KeepPrevious : std::uint8_t {
  kNo,             ///< it is gone when a new one is in its place
  kUntilVerified,  ///< until the new one has been read back
  kAlways,         ///< until the next one but one
};

/// "no", "until-verified" or "yes", as the parameter keep-previous-snapshot has it.
KeepPrevious keep_previous(std::string_view name) noexcept;

/// Gives the newest snapshot the name of the previous one as well, in whose place it comes. Errors:
/// kUnsupported where files have one name; kNotFound, kNoSpace, kIo. There may be no previous one
/// then.
Status link_newest_as_previous(const StoreFiles& files);

/// Whether the previous snapshot is there. Errors: kIo.
Result<bool> has_previous(const StoreFiles& files);

/// Errors: kIo; there may still be one then.
Status remove_previous(const StoreFiles& files);

/// Reads all of the newest snapshot from the disk. Errors: kDataLoss, kIo.
Status verify_newest(const StoreFiles& files, const std::atomic<bool>& cancelled);

/// Whether the state of the store can be restored without the newest snapshot: the previous one is
/// sound and the journal reaches back to it, or to the first frame. Errors: kDataLoss, kIo: why it
/// cannot; kNotFound if nothing of the kind was kept.
Status verify_previous(const StoreFiles& files, const std::atomic<bool>& cancelled);

}  // namespace engram
