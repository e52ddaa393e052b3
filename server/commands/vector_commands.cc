// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_commands.h"

#include <array>

#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_sets.h"
#include "server/requests/auto_index.h"
#include "server/requests/reinforcement.h"

namespace engram {
namespace {

using namespace command_flag;

constexpr KeyRange kIndex = {1, 1, 1};
constexpr std::string_view kVectorGroup = "vector";
constexpr std::string_view kSince = "0.1.0";

constexpr CommandSpec spec(std::string_view name, Handler handler, int arity, std::uint32_t flags,
                           KeyRange keys, std::string_view summary, std::string_view syntax,
                           std::string_view complexity) {
  return {.name = name,
          .handler = handler,
          .arity = arity,
          .flags = flags,
          .keys = keys,
          .group = kVectorGroup,
          .summary = summary,
          .syntax = syntax,
          .complexity = complexity,
          .since = kSince};
}

/// What a command that reads is where its arguments, or its index, have it write as well.
constexpr CommandSpec updating(std::string_view name, Handler handler) {
  return spec(name, handler, -4, kWrite | kUpdates, kIndex, {}, {}, {});
}

constexpr CommandSpec kTouchingSearch = updating("vsearch", vsearch);
constexpr CommandSpec kTouchingBatch = updating("vmsearch", vmsearch);
constexpr CommandSpec kTouchingRecall = updating("vrecall", vrecall);

/// index query k ... and index (VEC vector | KEY key) ...
bool touches(Arguments argv, Store&) {
  return argv.size() > 4 && has_word(argv.subspan(4), "TOUCH");
}

/// Also because VNEW says so.
bool recall_touches(Arguments argv, Store& store) {
  return touches(argv, store) || reinforces(store, argv[1]);
}

/// index k ... query [query ...]
bool touches_batch(Arguments argv, Store&) {
  return has_word(argv.subspan(3), "TOUCH");
}

constexpr CommandSpec kConditionalAdd =
    spec("vadd", vadd, -4, kWrite | kDenyOom | kConditional | kShoutsName, kIndex, {}, {}, {});

bool has_condition(Arguments argv, Store&) {
  return argv.size() > 4 && !is_set_add(argv) && has_word(argv.subspan(4), "UNLESS");
}

/// The last element takes the set with it, and what comes next finds none.
constexpr CommandSpec kEmptyingRemoval =
    spec("vrem", vrem, 3, kWrite | kUpdates | kShoutsName, kIndex, {}, {}, {});
constexpr CommandSpec kEmptyingErase = spec("vdel", vdel, 3, kWrite | kUpdates, kIndex, {}, {}, {});

bool may_empty(Arguments argv, Store& store) {
  return is_auto_index(store, argv[1]);
}

constexpr CommandSpec kRemoveAttributes =
    spec("vsetattr", vsetattr, 4, kWrite | kFast, kIndex, {}, {}, {});

bool removes_attributes(Arguments argv, Store&) {
  return argv.size() == 4 && argv[3].empty();
}

constexpr CommandSpec kForgetDryRun = spec("vforget", vforget, -4, kReadonly, kIndex, {}, {}, {});

bool is_dry_run(Arguments argv, Store&) {
  return has_word(argv.subspan(2), "DRYRUN");
}

/// What is written elsewhere takes memory; in its own index a consolidation frees some.
constexpr CommandSpec kConsolidateInto =
    spec("vconsolidate", vconsolidate, -3, kWrite | kWritesLater | kNoMulti | kDenyOom, kIndex, {},
         {}, {});

bool goes_elsewhere(Arguments argv, Store&) {
  return has_word(argv.subspan(2), "INTO");
}

constexpr CommandSpec with_form(CommandSpec spec, const CommandSpec& form,
                                bool (*takes_form)(Arguments, Store&)) {
  spec.other_form = &form;
  spec.takes_other_form = takes_form;
  return spec;
}

constexpr CommandSpec may_write(CommandSpec spec, const CommandSpec& form,
                                bool (*writes)(Arguments, Store&)) {
  spec.flags |= kMayReplicate;
  spec.key_flags = "RW access";
  return with_form(spec, form, writes);
}

constexpr std::array kVectorCommands = {
    spec("vnew", vnew, -3, kWrite | kDenyOom, kIndex,
         "Makes an empty vector index with a metric and a retrieval primitive",
         "index dim [METRIC <cosine | l2 | dot>] [PRIMITIVE primitive] [DECAY <none | static | exp "
         "half-life | power exponent | ebb stability>] [OMEGA omega] [CLOCK <wall | logical>] "
         "[REINFORCE <off | winner | soft | compete>] [MERGE radius] [FLOOR strength] [BUDGET "
         "count] [BUDGETBYTES "
         "bytes] [EVERY milliseconds] [MEASURE share] "
         "[option value ...]",
         "O(1)"),
    spec("vdrop", vdrop, 2, kWrite, kIndex, "Removes a vector index with all that it holds",
         "index", "O(1), the memory is freed in the background"),
    spec("vlist", vlist, 1, kReadonly, {}, "Lists the vector indexes by name", {},
         "O(N) with N the indexes"),
    spec("vinfo", vinfo, 2, kReadonly, kIndex, "Describes a vector index and its primitive",
         "index", "O(1)"),
    spec("vprimitives", vprimitives, 1, kLoading | kStale, {},
         "Lists the retrieval primitives with their traits and options", {}, "O(1)"),
    with_form(spec("vadd", vadd, -4, kWrite | kDenyOom | kShoutsName, kIndex,
                   "Stores a vector under a key, replacing the one that was there",
                   "index key <vector | VALUES n value [value ...]> [STRENGTH gain] [AT "
                   "unix-time-milliseconds] [KEEPSTRENGTH] "
                   "[HALFLIFE milliseconds] [PIN] [SETATTR json-object] [UNLESS WITHIN distance "
                   "[TOUCH gain]]",
                   "the primitive's insert; O(log N) for hnsw"),
              kConditionalAdd, has_condition),
    spec("vmadd", vmadd, -4, kWrite | kDenyOom, kIndex,
         "Stores several vectors, on all workers at once",
         "index key <vector | VALUES n value [value ...]> [key <vector | VALUES n value [value "
         "...]> ...]",
         "as VADD for each vector"),
    with_form(spec("vsetattr", vsetattr, 4, kWrite | kDenyOom | kFast | kShoutsName, kIndex,
                   "Gives a key attributes, a JSON object, in the place of those that it has",
                   "index key json-object", "O(N) with N the bytes"),
              kRemoveAttributes, removes_attributes),
    spec("vgetattr", vgetattr, 3, kReadonly | kFast | kShoutsName, kIndex,
         "Returns the attributes of a key, as they were given", "index key", "O(1)"),
    with_form(spec("vdel", vdel, 3, kWrite, kIndex, "Deletes the vector of a key", "index key",
                   "the primitive's erase; O(1) amortized for flat"),
              kEmptyingErase, may_empty),
    with_form(spec("vrem", vrem, 3, kWrite | kShoutsName, kIndex,
                   "Removes an element from a vector set, and the set with its last", "set element",
                   "as VDEL"),
              kEmptyingRemoval, may_empty),
    spec("vsim", vsim, -4, kReadonly | kShoutsName, kIndex,
         "Returns the elements most similar to an element or a vector, best first",
         "set <ELE element | FP32 vector | VALUES n value [value ...]> [WITHSCORES] [WITHATTRIBS] "
         "[COUNT count] "
         "[EPSILON distance] [EF ef] [FILTER expression] [FILTER-EF count] [TRUTH] [NOTHREAD]",
         "the primitive's search; O(N) with TRUTH"),
    spec("vcard", vcard, 2, kReadonly | kFast | kShoutsName, kIndex,
         "Returns how many elements a vector set has", "set", "O(1)"),
    spec("vdim", vdim, 2, kReadonly | kFast | kShoutsName, kIndex,
         "Returns the dimension of the vectors of a set", "set", "O(1)"),
    spec("vismember", vismember, 3, kReadonly | kFast | kShoutsName, kIndex,
         "Returns whether an element is in a vector set", "set element", "O(1)"),
    spec("vemb", vemb, -3, kReadonly | kFast | kShoutsName, kIndex,
         "Returns the vector of an element as numbers", "set element [RAW]",
         "O(D) with D the dimension"),
    spec("vlinks", vlinks, -3, kReadonly | kShoutsName, kIndex,
         "Returns where the graph leads from an element, by level, highest first",
         "set element [WITHSCORES]", "O(M*D) with M the links and D the dimension"),
    spec("vrandmember", vrandmember, -2, kReadonly | kShoutsName, kIndex,
         "Returns elements at random", "set [count]",
         "O(C) with C the count; O(N) for most of the elements"),
    spec("vrange", vrange, -4, kReadonly | kShoutsName, kIndex,
         "Returns the elements between two, in the order of their bytes", "set start end [count]",
         "O(N + C*log(C)) with C the elements between, in steps beside other commands"),
    spec("vtouch", vtouch, -3, kWrite | kFast, kIndex,
         "Adds to the strengths of keys, which makes them nearer in searches and recalls",
         "index key [key ...] [GAIN gain] [AT unix-time-milliseconds]", "O(N) with N the keys"),
    spec("vstrength", vstrength, -3, kReadonly | kFast, kIndex,
         "Returns how strong a key is, and what that takes from its logit",
         "index key [AT unix-time-milliseconds]",
         "O(1); O(N) at a new time where vectors fade each in its own way"),
    with_form(
        spec("vforget", vforget, -4, kWrite | kWritesLater | kUpdates, kIndex,
             "Deletes the vectors that have become weak, weakest first",
             "index BELOW strength [AT unix-time-milliseconds] [LIMIT count] [DRYRUN]",
             "O(N) with N the vectors, beside other commands; then as VDEL for each that goes"),
        kForgetDryRun, is_dry_run),
    with_form(spec("vconsolidate", vconsolidate, -3, kWrite | kWritesLater | kNoMulti, kIndex,
                   "Makes one item of those that lie near each other, in the index or in another",
                   "index <RADIUS radius | K groups> [METHOD <leader | meanshift | kmeans>] "
                   "[KEEP <centroid | medoid>] [INTO other-index] [REPLAY draws] "
                   "[BY <strength | langevin>] [WALK steps] [TEMPERATURE temperature] [SEED seed] "
                   "[MINSIZE members] "
                   "[AT unix-time-milliseconds] [LIMIT groups] [DRYRUN]",
                   "O(N*G) sketches with G the groups; O(N*N) for meanshift"),
              kConsolidateInto, goes_elsewhere),
    spec("vget", vget, -3, kReadonly | kFast, kIndex,
         "Returns the vector of a key as packed little-endian float32, or as numbers",
         "index key [VALUES]", "O(D) with D the dimension"),
    may_write(spec("vsearch", vsearch, -4, kReadonly, kIndex,
                   "Returns the keys nearest to a query and their distances, closest first",
                   "index <query | VALUES n value [value ...]> k [RADIUS distance] [EF ef] [RECALL "
                   "share] [STEPS "
                   "steps] [FILTER "
                   "filter] [FILTER-EF nodes] [AT unix-time-milliseconds] [TOUCH gain] "
                   "[WITHRAW] [WITHSTRENGTH] [EXPLAIN] [CURSOR cursor] [option value ...]",
                   "the primitive's search; O(N) for flat, and with FILTER"),
              kTouchingSearch, touches),
    may_write(
        spec("vmsearch", vmsearch, -4, kReadonly, kIndex,
             "Searches for several queries, on all workers at once",
             "index k [RADIUS distance] [EF ef] [RECALL share] [FILTER filter] [FILTER-EF nodes] "
             "[AT "
             "unix-time-milliseconds] [TOUCH "
             "gain] [WITHRAW] [WITHSTRENGTH] <query | VALUES n value [value ...]> [[FILTER filter] "
             "<query | VALUES n value [value ...]> ...]",
             "as VSEARCH for each query"),
        kTouchingBatch, touches_batch),
    may_write(spec("vrecall", vrecall, -4, kReadonly, kIndex,
                   "Recalls by a cue, perhaps noisy or partly hidden: a state, the item that it is "
                   "nearest to, and how sure that is",
                   "index <VEC <vector | VALUES n value [value ...]> | KEY key> [MASK ranges] [TOP "
                   "k] [FILTER filter] [AT unix-time-milliseconds] [TOUCH "
                   "gain] [WITHTRACE] [WITHRAW] [WITHSTRENGTH] [WITHMEAN] [option value ...]",
                   "the primitive's recall; O(N) for a scan, each step"),
              kTouchingRecall, recall_touches),
    spec("venergy", venergy, -3, kReadonly, kIndex,
         "Returns the energy of a state: the lower, the better it fits what is stored",
         "index <vector | VALUES n value [value ...]> [FILTER filter] [AT unix-time-milliseconds] "
         "[option value ...]",
         "the primitive's; O(N) for a scan"),
    spec("vtune", vtune, -2, kWrite | kWritesLater, kIndex,
         "Finds the numbers that an index recalls by in a sample of its vectors, and keeps them",
         "index [SAMPLE count] [SEED seed] [option value ...]",
         "as VRECALL for each of the sample"),
    spec("vdiag", vdiag, -2, kReadonly, kIndex,
         "Describes how an index recalls, by a sample of its vectors",
         "index [SAMPLE count] [SEED seed] [FILTER filter] [option value ...]",
         "as VRECALL for each of the sample"),
};

}  // namespace

std::span<const CommandSpec> vector_commands() {
  return kVectorCommands;
}

}  // namespace engram
