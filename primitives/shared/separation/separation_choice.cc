// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/separation/separation_choice.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kSep = "SEP";
constexpr std::string_view kDefault = "softmax";
constexpr std::string_view kNumber = "separation";

/// What SEP and the options of separations are, once all have registered.
struct Schema {
  Schema() {
    for (const SeparationSpec* const spec : all) names.push_back(spec->name);
    options.push_back(choice_option(kSep, kDefault, names, "how similarities become weights"));
    for (const SeparationSpec* const spec : all) {
      options.insert(options.end(), spec->options.begin(), spec->options.end());
    }
  }
  std::span<const OptionSpec> parameters() const { return std::span(options).subspan(1); }

  std::vector<const SeparationSpec*> all = separations();
  std::vector<std::string_view> names;
  std::vector<OptionSpec> options;
};

const Schema& schema() {
  static const Schema made;
  return made;
}

/// By which a journal knows a separation: the five that came first are numbered, later ones have a
/// hash of their name [FNV-1a].
double number_of(std::string_view name) {
  constexpr std::string_view kFirst[] = {"softmax", "sparsemax", "entmax15", "entmax", "topk"};
  const auto* const found = std::find(std::begin(kFirst), std::end(kFirst), name);
  if (found != std::end(kFirst)) return static_cast<double>(found - std::begin(kFirst));
  std::uint32_t hash = 2166136261U;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
  return static_cast<double>(std::size(kFirst)) + hash;
}

}  // namespace

std::span<const OptionSpec> separation_options() {
  return schema().options;
}

SeparationChoice::SeparationChoice() : spec_(find_separation(kDefault)) {
  for (const OptionSpec& spec : schema().parameters()) values_.push_back(spec.default_number);
}

void SeparationChoice::read(const Options& options) {
  if (options.given(kSep)) spec_ = find_separation(options.choice(kSep));
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const OptionSpec& spec = schema().parameters()[i];
    if (!options.given(spec.name)) continue;
    const bool is_integer = spec.type == OptionType::kInteger;
    values_[i] =
        is_integer ? static_cast<double>(options.integer(spec.name)) : options.real(spec.name);
  }
}

void SeparationChoice::read(std::string_view name, double number) {
  for (const SeparationSpec* const spec : schema().all) {
    if (name == kNumber && number == number_of(spec->name)) spec_ = spec;
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const OptionSpec& spec = schema().parameters()[i];
    const bool is_valid = number >= spec.minimum && number <= spec.maximum;
    if (is_valid && equal_ignoring_case(name, spec.name)) values_[i] = number;
  }
}

void SeparationChoice::append_to(Tuning& tuning) const {
  tuning.emplace_back(kNumber, number_of(spec_->name));
  for (std::size_t i = 0; i < values_.size(); ++i) {
    tuning.emplace_back(to_lower(schema().parameters()[i].name), values_[i]);
  }
}

std::span<const double> SeparationChoice::parameters() const noexcept {
  std::size_t first = 0;
  for (const SeparationSpec* const spec : schema().all) {
    if (spec == spec_) break;
    first += spec->options.size();
  }
  return std::span(values_).subspan(first, spec_->options.size());
}

bool operator==(const SeparationChoice& a, const SeparationChoice& b) noexcept {
  return a.spec_ == b.spec_ && std::ranges::equal(a.parameters(), b.parameters());
}

}  // namespace engram
