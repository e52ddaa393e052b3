// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"

namespace engram {
namespace {

void write_support(JsonWriter& json, const Reply& support) {
  json.begin_array();
  for (std::size_t i = 0; i + 1 < support.items.size(); i += 2) {
    json.begin_object();
    json.name("id");
    write_reply(json, support.items[i]);
    json.name("weight");
    write_reply(json, support.items[i + 1]);
    json.end_object();
  }
  json.end_array();
}

std::string recollection_json(const Reply& recollection) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  for (std::size_t i = 0; i + 1 < recollection.items.size(); i += 2) {
    const std::string& name = recollection.items[i].text;
    const Reply& value = recollection.items[i + 1];
    json.name(name);
    if (name == "state") {
      write_vector(json, value.text);
    } else if (name == "support") {
      write_support(json, value);
    } else {
      write_reply(json, value);
    }
  }
  json.end_object();
  return out + '\n';
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
