// SPDX-License-Identifier: Apache-2.0
// From a request to its exit code.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "server/hosts/cli/files/input_file.h"
#include "server/hosts/cli/files/vector_files.h"
#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

struct Subcommand {
  std::string_view name;
  Result<int> (*run)(Invocation&);
  bool makes_directory;  ///< it is there to fill the collection
};

constexpr std::array<Subcommand, 9> kSubcommands = {{{"insert", insert_item, true},
                                                     {"search", search_items, false},
                                                     {"delete", delete_items, false},
                                                     {"list", list_keys, false},
                                                     {"get", get_item, false},
                                                     {"info", show_info, false},
                                                     {"recall", recall_item, false},
                                                     {"import", import_file, true},
                                                     {"export", export_file, false}}};

int complain(const std::string& message, int exit_code) {
  std::fprintf(stderr, "engram: %s\n", message.c_str());
  return exit_code;
}

int complain(const CliRequest& request, const Error& error) {
  if (error.code != ErrorCode::kNotFound || error.message.starts_with("cannot")) {
    return complain(error.message, kRefused);
  }
  return complain(
      "there is no collection '" + printable(request.collection) + "'; insert and import make one",
      kRefused);
}

/// Wrong usage that no declaration can tell. Returns the vector, packed.
Result<std::string> check_usage(const CliRequest& request) {
  for (const std::string& option : request.options) {
    if (option.find('=') != std::string::npos && option.front() != '=') continue;
    return fail(ErrorCode::kInvalidArgument,
                "--option takes NAME=VALUE, got '" + printable(option) + "'");
  }
  const bool takes_either = request.command == "search" || request.command == "recall";
  if (takes_either && request.vector.empty() == request.key.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                request.command + " takes either a vector or --key, whose vector it is");
  }
  if (!request.file.empty()) {
    const auto format = format_of(request.file, request.format);
    if (!format) return tl::unexpected(format.error());
  }
  if (request.vector.empty()) return std::string();
  return packed_vector(request.vector);
}

Result<std::unique_ptr<Place>> open_place(const PlaceChoice& choice, bool makes_directory) {
  if (choice.directory.empty()) return open_server_place(choice.server);
  // Whatever is worth knowing is an error that the caller prints.
  open_log("engram");
  set_log_level("warning");
  return open_directory_place(choice.directory, makes_directory);
}

/// A directory that is opened again and again needs snapshots, which shorten its journal.
Status leave(Invocation& invocation) {
  Place& place = invocation.client.place();
  if (place.wants_snapshot() || (place.is_directory() && invocation.wants_snapshot)) {
    const auto saved = invocation.client.call({"VSAVE"});
    if (!saved) return tl::unexpected(saved.error());
  }
  return place.end();
}

/// A failure to keep what was answered counts.
int carry_out(const Subcommand& subcommand, Invocation& invocation) {
  const auto code = subcommand.run(invocation);
  const Status ended = leave(invocation);
  const Status printed = invocation.print();
  if (!code) return complain(invocation.request, code.error());
  if (!ended) return complain(ended.error().message, kRefused);
  if (!printed) return complain(printed.error().message, kRefused);
  return *code;
}

}  // namespace

int run_cli(const CliRequest& request) {
  const Subcommand* subcommand = nullptr;
  for (const Subcommand& known : kSubcommands) {
    if (known.name == request.command) subcommand = &known;
  }
  if (subcommand == nullptr) return complain("there is no '" + request.command + "'", kMisused);
  auto vector = check_usage(request);
  if (!vector) return complain(vector.error().message, kMisused);
  const auto choice =
      choose_place(request.place, std::getenv("ENGRAM_DATA_DIR"), std::getenv("ENGRAM_URL"));
  if (!choice) return complain(choice.error().message, kMisused);
  if (request.command == "import") {  // makes no directory for a file that is not there
    for (const std::string& file : {request.file, request.keys_file}) {
      if (file.empty()) continue;
      if (const Status found = check_readable(file); !found) {
        return complain(found.error().message, kRefused);
      }
    }
  }
  auto place = open_place(*choice, subcommand->makes_directory);
  if (!place) return complain(request, place.error());
  CommandClient client(std::move(*place));
  if (const Status met = client.hello(choice->server.user, choice->server.password); !met) {
    return complain(request, met.error());
  }
  Invocation invocation{.request = request, .client = client, .vector = std::move(*vector)};
  return carry_out(*subcommand, invocation);
}

}  // namespace engram
