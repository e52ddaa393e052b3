// SPDX-License-Identifier: Apache-2.0
#include "server/requests/filter.h"

#include <utility>

#include "server/requests/arguments.h"

namespace engram {

Result<std::shared_ptr<const Filter>> compile_filter(std::string_view text) {
  auto filter = Filter::compile(text);
  if (!filter) return tl::unexpected(std::move(filter.error()));
  return std::make_shared<const Filter>(std::move(*filter));
}

Status take_filter(std::vector<OptionText>& options, std::shared_ptr<const Filter>& filter) {
  const auto text = take_option(options, "FILTER");
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  auto compiled = compile_filter(**text);
  if (!compiled) return tl::unexpected(std::move(compiled.error()));
  filter = std::move(*compiled);
  return {};
}

}  // namespace engram
