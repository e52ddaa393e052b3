// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"

namespace engram {
namespace {

void append_support(std::string& out, const Reply& support) {
  out += '[';
  for (std::size_t i = 0; i + 1 < support.items.size(); i += 2) {
    out += i == 0 ? R"({"id":)" : R"(,{"id":)";
    append_json(out, support.items[i]);
    out += R"(,"weight":)";
    append_json(out, support.items[i + 1]);
    out += '}';
  }
  out += ']';
}

std::string recollection_json(const Reply& recollection) {
  std::string out = "{";
  for (std::size_t i = 0; i + 1 < recollection.items.size(); i += 2) {
    const std::string& name = recollection.items[i].text;
    const Reply& value = recollection.items[i + 1];
    if (i != 0) out += ',';
    append_json(out, std::string_view(name));
    out += ':';
    if (name == "state") {
      append_json_vector(out, value.text);
    } else if (name == "support") {
      append_support(out, value);
    } else {
      append_json(out, value);
    }
  }
  return out + "}\n";
}

std::string recollection_text(const Reply& recollection) {
  Table facts({false, false});
  Table support({false, false, false});
  for (std::size_t i = 0; i + 1 < recollection.items.size(); i += 2) {
    const std::string& name = recollection.items[i].text;
    const Reply& value = recollection.items[i + 1];
    if (name == "support") {
      for (std::size_t j = 0; j + 1 < value.items.size(); j += 2) {
        support.add({" ", reply_text(value.items[j]), reply_text(value.items[j + 1])});
      }
    } else {
      facts.add({name, name == "state" ? vector_text(value.text) : reply_text(value)});
    }
  }
  return facts.text() + "support\n" + support.text();
}

}  // namespace

Result<int> recall_item(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  Words words = {"VRECALL", request.collection};
  if (request.key.empty()) {
    words.insert(words.end(), {"VEC", invocation.vector});
  } else {
    words.insert(words.end(), {"KEY", request.key});
  }
  if (!request.mask.empty()) words.insert(words.end(), {"MASK", request.mask});
  if (!request.top.empty()) words.insert(words.end(), {"TOP", request.top});
  if (!request.filter.empty()) words.insert(words.end(), {"FILTER", request.filter});
  append_options(invocation, words);
  const auto recollection = invocation.client.call(words);
  if (!recollection) return tl::unexpected(recollection.error());
  invocation.out +=
      request.json ? recollection_json(*recollection) : recollection_text(*recollection);
  return kDone;
}

}  // namespace engram
