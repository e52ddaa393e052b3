// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/declarations.h"

#include <deque>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "server/hosts/python/conversions.h"
#include "server/hosts/python/memory.h"
#include "server/hosts/python/python_index.h"

namespace engram::python {
namespace {

/// Name, whether it is an integer, default, minimum, maximum, help.
using OptionWords = std::tuple<std::string, bool, double, double, double, std::string>;

/// Never freed: what is registered lives as long as the program, and longer than the interpreter.
Declaration& new_declaration() {
  static auto* const all = new std::deque<Declaration>();
  return all->emplace_back();
}

void register_primitive(std::string name, std::string summary, std::string source, bool exact,
                        bool takes_ef, bool recalls, bool has_energy,
                        const std::vector<OptionWords>& options, py::object make) {
  Declaration& declared = new_declaration();
  declared.name = std::move(name);
  declared.summary = std::move(summary);
  declared.source = std::move(source);
  declared.exact = exact;
  declared.takes_ef = takes_ef;
  declared.recalls = recalls;
  declared.has_energy = has_energy;
  declared.make = std::move(make);
  declared.texts.reserve(2 * options.size());  // short ones lie in the strings themselves
  for (const auto& [word, is_integer, value, least, most, help] : options) {
    const std::string& kept_name = declared.texts.emplace_back(word);
    const std::string& kept_help = declared.texts.emplace_back(help);
    declared.options.push_back(is_integer ? integer_option(kept_name, value, least, most, kept_help)
                                          : real_option(kept_name, value, least, most, kept_help));
  }
  check(register_at_run_time(
      {.name = declared.name,
       .summary = declared.summary,
       .source = declared.source,
       .traits = {.exact = exact, .recalls = recalls},
       .create_options = declared.options,
       .recalls_by_default = !recalls,
       .create = [&declared](const IndexContext& context, const Options& given) {
         return PythonIndex::create(declared, context, given);
       }}));
}

}  // namespace

void bind_primitives(py::module_& module) {
  bind_memory(module);
  module.def("register_primitive", &register_primitive);
}

}  // namespace engram::python
