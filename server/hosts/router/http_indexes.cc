// SPDX-License-Identifier: Apache-2.0
// Collections as a whole. Which there are, the nodes tell: each has the layouts of some.
#include <algorithm>
#include <set>
#include <utility>

#include "core/text.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/facts_json.h"
#include "server/doors/http/given.h"
#include "server/hosts/router/http_asking.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/requests/facts.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

Status takes_any(const Layout&) {
  return {};
}

ShownCollection shown_collection(const Layout& layout, std::int64_t count) {
  return {.name = layout.index,
          .dim = layout.dim,
          .metric = layout.metric,
          .primitive = layout.primitive,
          .count = static_cast<std::size_t>(count)};
}

/// What is one text as an option may be two words of a command.
void append_option(std::vector<std::string>& argv, std::string_view name, std::string_view value) {
  argv.emplace_back(name);
  const std::size_t space = equal_ignoring_case(name, "DECAY") ? value.find(' ') : value.npos;
  argv.emplace_back(value.substr(0, space));
  if (space != value.npos) argv.emplace_back(value.substr(space + 1));
}

std::string text_of(const Reply& value) {
  return value.kind == Reply::Kind::kInteger ? std::to_string(value.integer) : value.text;
}

/// The collections of a cluster, one after the other.
struct Listing {
  explicit Listing(HttpAskingPtr asked) : asking(std::move(asked)) {}

  HttpAskingPtr asking;
  std::vector<Address> unasked = {};  // masters
  std::set<std::string> names = {};
  HttpResponse response = {};
  JsonWriter json{response.body};
};
using ListingPtr = std::shared_ptr<Listing>;

void show_next(const ListingPtr& listing);

void show_error(const ListingPtr& listing, const std::string& name, const Error& error) {
  if (error.code == ErrorCode::kNotFound) return show_next(listing);  // it was dropped meanwhile
  listing->json.begin_object();
  listing->json.name("name").string(name);
  listing->json.name("error").string(error.message);
  listing->json.end_object();
  show_next(listing);
}

void show(const ListingPtr& listing, const LayoutPtr& layout) {
  carry_out(listing->asking, {"vcard", layout->index},
            [listing, layout](const Result<Reply>& count) {
              if (!count) return show_error(listing, layout->index, count.error());
              listing->json.begin_object();
              write_collection(listing->json, shown_collection(*layout, count->integer));
              listing->json.end_object();
              show_next(listing);
            });
}

void show_next(const ListingPtr& listing) {
  if (listing->names.empty()) {
    listing->json.end_array();
    listing->json.end_object();
    return listing->asking->answer(std::move(listing->response));
  }
  const std::string name = listing->names.extract(listing->names.begin()).value();
  listing->asking->services.layouts.find(
      name, false, [listing, name](const Result<LayoutPtr>& found) {
        if (!found) return show_error(listing, name, found.error());
        const Status ready = check_in_use(**found);
        ready ? show(listing, *found) : show_error(listing, name, ready.error());
      });
}

/// The name of the index whose layout the key holds; empty: it is another key.
std::string index_of(std::string_view key) {
  std::string name(key.substr(0, std::min(key.find(":{"), key.size())));
  return meta_key(name) == key ? name : std::string();
}

void scan_next(const ListingPtr& listing, const std::string& cursor);

/// What a step of SCAN has answered.
void take_keys(const ListingPtr& listing, const Answer& answer) {
  const Reply reply = answer.is_missing ? Reply::error(answer.bytes) : read_reply(answer.bytes);
  const Address& node = listing->unasked.back();
  if (reply.is_error()) {
    return listing->asking->answer_error(
        {ErrorCode::kUnavailable, "which collections there are is not known: " + node +
                                      " did not answer (" + reply.error_text() + ")"});
  }
  if (!reply.is_array() || reply.items.size() != 2) {
    return listing->asking->answer_error(
        {ErrorCode::kDataLoss, node + " has answered what no SCAN answers"});
  }
  for (const Reply& key : reply.items[1].items) {
    if (std::string name = index_of(key.text); !name.empty()) {
      listing->names.insert(std::move(name));
    }
  }
  const std::string& cursor = reply.items[0].text;
  if (cursor == "0") listing->unasked.pop_back();
  scan_next(listing, cursor);
}

void scan_next(const ListingPtr& listing, const std::string& cursor) {
  if (listing->unasked.empty()) {
    listing->json.begin_object();
    listing->json.name("collections").begin_array();
    return show_next(listing);
  }
  listing->asking->services.cluster.send_to(
      listing->unasked.back(),
      encode_command({"SCAN", cursor, "MATCH", "*:{*}:meta", "COUNT", "1000"}), {},
      [listing](Answer&& answer) { take_keys(listing, answer); });
}

void list_all(const HttpAskingPtr& asking) {
  const auto listing = std::make_shared<Listing>(asking);
  for (const Shard& shard : asking->services.cluster.map().shards()) {
    if (!shard.master.empty()) listing->unasked.push_back(shard.master);
  }
  scan_next(listing, "0");
}

}  // namespace

void http_list_collections(const HttpAskingPtr& asking, const MatchedRequest&) {
  if (asking->services.cluster.knows_map()) return list_all(asking);
  // Whatever is asked of the cluster first waits until it has told who its nodes are.
  asking->services.layouts.find(
      std::string(kDefaultCollection), true, [asking](const Result<LayoutPtr>& found) {
        const bool is_up = found || found.error().code != ErrorCode::kUnavailable;
        is_up ? list_all(asking) : asking->answer_error(found.error());
      });
}

void http_put_collection(const HttpAskingPtr& asking, const MatchedRequest& request) {
  const auto given = read_given_collection(request.request);
  if (!given) return asking->answer_error(given.error());
  const std::string name(request.path_value("name"));
  std::vector<std::string> argv = {"vnew", name, std::to_string(given->dim)};
  for (const auto& [option, value] : given->options.list()) append_option(argv, option, value);
  carry_out_or_fail(asking, std::move(argv), [asking, name](const Reply&) {
    with_layout_for(asking, name, takes_any, [asking](const LayoutPtr& layout) {
      asking->answer(answer_made(shown_collection(*layout, 0)));
    });
  });
}

void http_get_collection(const HttpAskingPtr& asking, const MatchedRequest& request) {
  with_layout_for(
      asking, std::string(request.path_value("name")), takes_any,
      [asking](const LayoutPtr& layout) {
        carry_out_or_fail(asking, {"vinfo", layout->index}, [asking, layout](const Reply& info) {
          std::vector<Fact> facts;
          for (std::size_t i = 0; i + 1 < info.items.size(); i += 2) {
            facts.push_back({info.items[i].text, text_of(info.items[i + 1])});
          }
          const Reply* const size = info.find("size");
          HttpResponse response;
          JsonWriter json(response.body);
          json.begin_object();
          write_collection(json, shown_collection(*layout, size != nullptr ? size->integer : 0));
          json.name("info");
          write_facts(json, facts);
          json.end_object();
          asking->answer(std::move(response));
        });
      });
}

void http_drop_collection(const HttpAskingPtr& asking, const MatchedRequest& request) {
  const std::string name(request.path_value("name"));
  carry_out_or_fail(asking, {"vdrop", name},
                    [asking, name](const Reply&) { asking->answer(answer_dropped(name)); });
}

}  // namespace engram::router
