// SPDX-License-Identifier: Apache-2.0
// A search asks all partitions and merges what they find.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/text.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/partitions.h"
#include "server/hosts/router/scatter.h"
#include "server/resp/integer.h"

namespace engram::router {
namespace {

constexpr std::size_t kMostAnswers = 4'194'304;
constexpr std::size_t kFieldBytes = 16;  // a key or a number, about

/// What a router has to know of a search to split it.
struct SearchForm {
  bool is_batch = false;
  std::size_t k_at = 0;  ///< of argv
  std::size_t k = 0;
  std::size_t stride = 2;  ///< fields of a row
  bool is_partial = false;
};

struct Searching {
  CallPtr call;
  LayoutPtr layout;
  SearchForm form;
  std::vector<std::string> argv;   // without what is for the router
  std::vector<Part> parts;         // by partition
  std::vector<std::size_t> asked;  // likewise
  std::size_t queries = 1;
};
using SearchingPtr = std::shared_ptr<Searching>;

/// Reads the options that begin at `at`, and takes PARTIAL out. Errors: kUnsupported for those that
/// partitions cannot answer one by one.
Status read_options(std::vector<std::string>& argv, std::size_t at, SearchForm& form) {
  constexpr std::array<std::string_view, 2> kColumns = {"WITHRAW", "WITHSTRENGTH"};
  constexpr std::array<std::string_view, 5> kWhole = {"TOUCH", "CURSOR", "EXPLAIN", "STEPS",
                                                      "FILTER-EF"};
  constexpr std::array<std::string_view, 5> kOfBatch = {"RADIUS", "EF", "RECALL", "FILTER", "AT"};
  while (at < argv.size()) {
    const std::string& word = argv[at];
    if (equal_ignoring_case(word, "PARTIAL")) {
      form.is_partial = true;
      argv.erase(argv.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (is_any_ignoring_case(word, kColumns)) {
      ++form.stride;
      ++at;
    } else if (is_any_ignoring_case(word, kWhole)) {
      return tl::unexpected(needs_whole_index(to_upper(word)));
    } else if (!form.is_batch || is_any_ignoring_case(word, kOfBatch)) {
      at += 2;
    } else {
      return {};  // the first query of a batch
    }
  }
  return {};
}

/// Nothing if it is malformed. k: any that is an integer.
std::optional<SearchForm> find_k(const std::vector<std::string>& argv) {
  SearchForm form = {.is_batch = argv[0] == "vmsearch", .k_at = 2};
  if (!form.is_batch) {
    form.k_at = 3;
    if (equal_ignoring_case(argv[2], "VALUES")) {
      const auto count = parse_number<std::size_t>(argv[3]);
      if (!count || *count > argv.size()) return std::nullopt;
      form.k_at = 4 + *count;
    }
  }
  if (form.k_at >= argv.size()) return std::nullopt;
  const auto k = parse_integer(argv[form.k_at]);
  if (!k || *k < 1) return std::nullopt;
  form.k = static_cast<std::size_t>(*k);
  return form;
}

std::string search_command(const Searching& search, std::size_t partition) {
  std::vector<std::string> argv = search.argv;
  argv[search.form.k_at] = std::to_string(search.asked[partition]);
  return part_command(*search.layout, partition, to_upper(argv[0]), argv);
}

/// The rows that a partition has for a query; null for one that is missing.
const Reply* rows_of(const Searching& search, const Part& part, std::size_t query) {
  if (part.answer.is_missing) return nullptr;
  return search.form.is_batch ? &part.reply.items[query] : &part.reply;
}

/// Counts the queries, and checks that each partition has answered all. Errors: kDataLoss.
Status check_replies(Searching& search) {
  if (!search.form.is_batch) return {};
  std::vector<const Reply*> replies;
  replies.reserve(search.parts.size());
  for (const Part& part : search.parts) {
    replies.push_back(part.answer.is_missing ? nullptr : &part.reply);
  }
  const auto queries = count_queries(replies);
  if (!queries) return tl::unexpected<Error>(queries.error());
  search.queries = *queries;
  return {};
}

/// What the partitions have for a query, by partition. Errors: an error that one has answered.
Result<std::vector<std::vector<Hit>>> hits_for(const Searching& search, std::size_t query) {
  std::vector<std::vector<Hit>> lists(search.parts.size());
  for (std::size_t p = 0; p < lists.size(); ++p) {
    const Reply* const rows = rows_of(search, search.parts[p], query);
    if (rows == nullptr) continue;
    if (rows->is_error()) return fail(ErrorCode::kInvalidArgument, rows->text);
    auto hits = hits_of(*rows, search.form.stride, p);
    if (!hits) return fail(ErrorCode::kDataLoss, "ERR " + hits.error().message);
    lists[p] = std::move(*hits);
  }
  return lists;
}

/// A number as the node spelled it.
void write_number(ReplyWriter& writer, const std::string& text) {
  if (writer.version() == RespVersion::kResp2) return writer.bulk(text);
  writer.rendered("," + text + "\r\n");
}

void write_results(ReplyWriter& writer, const Searching& search) {
  if (search.form.is_batch) writer.array(search.queries);
  for (std::size_t query = 0; query < search.queries; ++query) {
    const auto lists = hits_for(search, query);
    if (!lists) {
      writer.error(lists.error().message);
      continue;
    }
    const std::vector<Hit> merged = merge_hits(*lists, search.form.k);
    writer.array(merged.size() * search.form.stride);
    for (const Hit& hit : merged) {
      writer.bulk(hit.fields[0].text);
      for (std::size_t i = 1; i < search.form.stride; ++i) write_number(writer, hit.fields[i].text);
    }
  }
}

void answer_search(const Searching& search) {
  const auto ok = std::count_if(search.parts.begin(), search.parts.end(),
                                [](const Part& part) { return !part.answer.is_missing; });
  const auto total = static_cast<std::int64_t>(search.parts.size());
  if (ok < total) ++search.call->services.counts.partial;
  search.call->answer([&](ReplyWriter& writer) {
    if (!search.form.is_partial) return write_results(writer, search);
    writer.map(4);
    writer.bulk("results");
    write_results(writer, search);
    writer.bulk("ok");
    writer.integer(ok);
    writer.bulk("total");
    writer.integer(total);
    writer.bulk("epoch");
    writer.integer(static_cast<std::int64_t>(search.layout->epoch));
  });
}

/// Whether the parts say that the search is over, with an error.
bool has_failed(const Searching& search, const std::vector<Part>& parts) {
  if (!search.form.is_partial) return answer_failure(search.call, *search.layout, parts);
  std::vector<Part> answered;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(answered),
               [](const Part& part) { return !part.answer.is_missing; });
  return answer_failure(search.call, *search.layout, answered);
}

std::vector<std::size_t> partitions_to_ask_again(const Searching& search) {
  std::vector<std::size_t> again;
  for (std::size_t query = 0; query < search.queries; ++query) {
    const auto lists = hits_for(search, query);
    if (!lists) continue;
    const auto found = short_lists(*lists, search.asked, search.form.k);
    again.insert(again.end(), found.begin(), found.end());
  }
  std::sort(again.begin(), again.end());
  again.erase(std::unique(again.begin(), again.end()), again.end());
  return again;
}

void search_all(const CallPtr& call, const LayoutPtr& layout);

void ask(const SearchingPtr& search, const std::vector<std::size_t>& partitions,
         std::function<void()> go_on) {
  std::vector<PartCommand> commands;
  commands.reserve(partitions.size());
  for (const std::size_t p : partitions) {
    commands.push_back({p, search_command(*search, p)});
    // What is going to come, or else a client could ask for more before the first has come.
    search->call->reply->charge(search->asked[p] * search->form.stride * kFieldBytes);
  }
  scatter(search->call, search->layout, std::move(commands), {}, search_all,
          [search, go_on = std::move(go_on)](std::vector<Part>& parts) {
            if (has_failed(*search, parts)) return;
            for (Part& part : parts) search->parts[part.partition] = std::move(part);
            if (const Status read = check_replies(*search); !read) {
              return search->call->answer_error(read.error());
            }
            go_on();
          });
}

void search_all(const CallPtr& call, const LayoutPtr& layout) {
  const auto is_partial = [](const auto& word) { return equal_ignoring_case(word, "PARTIAL"); };
  const bool is_plain = std::none_of(call->argv.begin(), call->argv.end(), is_partial);
  if (layout->partitions == 1 && is_plain) return pass_on(call, layout, 0, search_all);
  auto form = find_k(call->argv);
  if (!form) return ask_what_is_wrong(call, layout, search_all);
  if (form->k > kMostAnswers) {
    return call->answer_error("ERR k of an index with partitions is at most " +
                              std::to_string(kMostAnswers) + ", got " + std::to_string(form->k));
  }
  auto search = std::make_shared<Searching>();
  search->call = call;
  search->argv = call->argv;
  if (const Status read = read_options(search->argv, form->k_at + 1, *form); !read) {
    return call->answer_error(read.error());
  }
  search->layout = layout;
  search->form = *form;
  search->parts.resize(layout->partitions);
  search->asked.assign(layout->partitions, first_k(form->k, layout->partitions));
  std::vector<std::size_t> all(layout->partitions);
  for (std::size_t p = 0; p < all.size(); ++p) all[p] = p;
  ask(search, all, [search] {
    const std::vector<std::size_t> again = partitions_to_ask_again(*search);
    if (again.empty()) return answer_search(*search);
    for (const std::size_t p : again) search->asked[p] = search->form.k;
    search->call->services.counts.second_asks += again.size();
    ask(search, again, [search] { answer_search(*search); });
  });
}

}  // namespace

void vsearch(const CallPtr& call) {
  with_layout(call, search_all);
}

void vmsearch(const CallPtr& call) {
  with_layout(call, search_all);
}

}  // namespace engram::router
