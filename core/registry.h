// SPDX-License-Identifier: Apache-2.0
// Where primitives make themselves known by name.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/index.h"
#include "core/options.h"
#include "core/result.h"
#include "core/row.h"

namespace engram {

/// All that the rest of engram knows of a primitive before an index of it exists.
struct Primitive {
  std::string_view name;     ///< lower case: the word after PRIMITIVE, and its folder's name
  std::string_view summary;  ///< one line, no full stop
  std::string_view source;   ///< the paper or method, as "Author & Author 2018"
  Traits traits;
  std::span<const OptionSpec> create_options = {};  ///< of VNEW
  std::span<const OptionSpec> search_options = {};  ///< of VSEARCH, beside k and EF
  std::span<const OptionSpec> recall_options = {};  ///< of VRECALL, beside MASK and TOP
  /// Of an index's vectors: less where what is kept grows faster than they do.
  std::size_t max_dimension = kMaxDimension;
  /// The same with such options, where they allow less; null: none do.
  std::size_t (*max_dimension_with)(const Options& options) = nullptr;
  /// What the store of an index made with such options keeps, see IndexContext; null: float32.
  Element (*stored_element)(const Options& options) = nullptr;
  /// Recalls as make_default_recaller() does: Traits::recalls and recall_options are filled in if
  /// there is such a recaller.
  bool recalls_by_default = false;
  /// Fills in what depends on what else is registered. Called once, after the registrations and
  /// before anyone sees the primitive; it may ask is_registered(). Null: nothing does.
  void (*complete)(Primitive& primitive) = nullptr;
  /// Makes an empty index; `options` were parsed against create_options. Errors: kInvalidArgument
  /// for combinations that the schema cannot express, kResourceExhausted.
  std::function<Result<std::unique_ptr<Index>>(const IndexContext& context, const Options& options)>
      create;
};

/// max_dimension_with(), or max_dimension.
std::size_t max_dimension(const Primitive& primitive, const Options& options);

/// stored_element(), or float32.
Element stored_element(const Primitive& primitive, const Options& options);

/// Registers a primitive for the life of the program:
///
///   const Registration kRegistration({.name = "flat", ..., .create = create});
///
/// at namespace scope of the primitive's source file. The libraries of primitives are linked whole,
/// because nothing refers to this object.
class Registration {
 public:
  explicit Registration(const Primitive& primitive);
};

/// How to recall from what any index holds. A program has at most one. It obeys RecallParams::bias.
struct DefaultRecaller {
  std::span<const OptionSpec> (*recall_options)();
  Result<std::unique_ptr<Recaller>> (*create)(const MemoryView& memory);
};

/// Registers it, at namespace scope of the source file of the primitive that it is of.
class DefaultRecallerRegistration {
 public:
  explicit DefaultRecallerRegistration(const DefaultRecaller& recaller);
};

/// The default recaller over `memory`; null if the program has none. Errors: the recaller's.
Result<std::unique_ptr<Recaller>> make_default_recaller(const MemoryView& memory);

/// Whether there is a primitive of exactly that name.
bool is_registered(std::string_view name);

/// Registers a primitive while the program runs; all that it points to lives as long as that. A
/// name that was registered so before means the new one from now on, and indexes that exist stay
/// what they are. Any thread. Errors: kAlreadyExists for the name of a primitive of the program
/// itself.
Status register_at_run_time(const Primitive& primitive);

/// Every primitive of this program, by name. From the first call on, no Registration is made.
std::vector<const Primitive*> primitives();

/// Errors: kInvalidArgument listing the names there are.
Result<const Primitive*> find_primitive(std::string_view name);

}  // namespace engram
