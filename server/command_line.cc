// SPDX-License-Identifier: Apache-2.0
// The only file that knows CLI11, whose header takes seconds to compile.
#include "server/command_line.h"

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "core/text.h"
#include "server/hosts/cli/command_model.h"
#include "server/runtime/version.h"

namespace engram {

namespace {

/// What CLI11 would say of a wrong subcommand does not name it.
bool names_subcommand(const CLI::App& app, int argc, char** argv) {
  if (argc > 1 && argv[1][0] == '-') return true;
  const auto is_meant = [&](const CLI::App* subcommand) { return subcommand->check_name(argv[1]); };
  if (argc > 1 && !app.get_subcommands(is_meant).empty()) return true;
  const std::string what =
      argc > 1 ? "there is no subcommand '" + std::string(argv[1]) + "'" : "a subcommand is needed";
  std::cerr << "engram: " << what
            << "; serve starts the server, check reads a data directory, and --help says more\n";
  return false;
}

void declare_serve(CLI::App& app, CommandLine& line) {
  CLI::App& serve = *app.add_subcommand("serve", "Starts the server");
  serve
      .add_option("config", line.config_file,
                  "File of 'name value' lines, the names being those of CONFIG GET")
      ->type_name("FILE");
  line.flags = {
      {"--port", "port", "TCP port; 0 lets the system choose (6380)"},
      {"--bind", "bind", "Addresses to listen on, separated by spaces (127.0.0.1)"},
      {"--http-port", "http-port", "TCP port for HTTP; 0 leaves it off (0)"},
      {"--http-bind", "http-bind", "Addresses to listen on for HTTP (127.0.0.1)"},
      {"--grpc-port", "grpc-port", "TCP port for gRPC; 0 leaves it off (0)"},
      {"--grpc-bind", "grpc-bind", "Addresses to listen on for gRPC (127.0.0.1)"},
      {"--http-metric", "http-metric",
       "Metric of the collection that the first insert over HTTP makes (cosine)"},
      {"--http-primitive", "http-primitive", "Primitive of that collection (hnsw)"},
      {"--requirepass", "requirepass", "Password that clients give with AUTH (none)"},
      {"--protected-mode", "protected-mode",
       "yes serves only this machine while there is no password (yes)"},
      {"--maxclients", "maxclients", "Connections served at the same time (10000)"},
      {"--maxmemory", "maxmemory", "Memory beyond which writes are refused; 0 sets no limit (0)"},
      {"--dir", "dir", "Directory of the data; without it everything is in memory only"},
      {"--appendonly", "appendonly",
       "yes keeps the data in the directory, no in memory only (yes)"},
      {"--fsync", "appendfsync", "An answer waits for the disk: always, everysec or no (everysec)"},
      {"--workers", "workers", "Threads for searches and inserts (0: one per core)"},
      {"--kernel", "kernel", "Distance kernels: auto, scalar or an instruction set (auto)"},
      {"--log-level", "loglevel", "debug, verbose, info, warning, error or nothing (info)"},
  };
  for (Flag& flag : line.flags) {
    CLI::Option& option = *serve.add_option(flag.name, flag.value, flag.help);
    if (std::string_view(flag.name) == "--dir") option.type_name("DIR");
  }
  serve
      .add_option("--role", line.role,
                  "server, or router: keeps nothing, stands before a cluster, speaks RESP and HTTP "
                  "(server)")
      ->type_name("server|router")
      ->check(CLI::IsMember({"server", "router"}).description(""));
  serve
      .add_option("--cluster", line.cluster,
                  "Some nodes of the Redis Cluster that a router stands before")
      ->type_name("HOST:PORT,...");
  serve.add_option("--cluster-user", line.cluster_user, "User at the nodes (default)");
  serve.add_option("--cluster-password", line.cluster_password, "Password at the nodes (none)");
  serve
      .add_option("--node-timeout", line.node_timeout_ms,
                  "Milliseconds after which a router takes a node for missing (5000)")
      ->type_name("MS")
      ->check(CLI::Range(1, 600'000).description(""));
  serve
      .add_option(
          "--reads", line.reads,
          "Who answers a router's reads: master; hedge: replicas, where a master takes long; "
          "or replica (master)")
      ->type_name("master|hedge|replica")
      ->check(CLI::IsMember({"master", "hedge", "replica"}).description(""));
  serve
      .add_option("--staleness", line.staleness_ms,
                  "Milliseconds by which the answer of a replica may be old (1000)")
      ->type_name("MS")
      ->check(CLI::Range(1, 600'000).description(""));
}

void declare_check(CLI::App& app, CommandLine& line) {
  CLI::App& check =
      *app.add_subcommand("check", "Reads all files of a data directory, and says what it finds");
  check.add_option("directory", line.directory, "Where the data is; no server may have it open")
      ->type_name("DIR")
      ->required();
  check.add_flag("--repair", line.repair,
                 "Takes out what is damaged, says what is lost, and keeps it in files named *.cut");
}

/// A subcommand that may ask a server, with what all of them take.
CLI::App& declare_on_server(CLI::App& app, CliRequest& request, const char* name,
                            const char* help) {
  CLI::App& command = *app.add_subcommand(name, help);
  PlaceOptions& place = request.place;
  command.add_option("--port", place.port, "Asks the server at this port (6380)")->type_name("N");
  command.add_option("--host", place.host, "Asks the server on this host (127.0.0.1)")
      ->type_name("HOST");
  command
      .add_option("--url", place.url, "Asks the server at redis://[[user]:password@]host[:port]")
      ->type_name("URL");
  command.add_option("--collection", request.collection, "Which index (default)")
      ->type_name("NAME");
  command.add_flag("--json", request.json, "Prints one JSON document");
  return command;
}

/// The same, or may open a directory.
CLI::App& declare_on_data(CLI::App& app, CliRequest& request, const char* name, const char* help) {
  CLI::App& command = declare_on_server(app, request, name, help);
  command
      .add_option("--data-dir", request.place.directory,
                  "Opens the store in this directory (./engram-data, unless $ENGRAM_DATA_DIR, "
                  "$ENGRAM_URL or a server is given)")
      ->type_name("DIR");
  return command;
}

void declare_new(CLI::App& command, CliRequest& request) {
  command
      .add_option("--index", request.index,
                  "Primitive of the collection, if this makes it: hnsw, flat, hopfield ... (hnsw)")
      ->type_name("NAME");
  command
      .add_option("--metric", request.metric, "Metric of the collection, if this makes it (cosine)")
      ->type_name("cosine|l2|dot")
      ->check(CLI::IsMember({"cosine", "l2", "dot"}).description(""));
}

void declare_options(CLI::App& command, CliRequest& request, const char* help) {
  command.add_option("--option", request.options, help)
      ->type_name("NAME=VALUE")
      ->type_size(1)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void declare_items(CLI::App& app, CliRequest& request) {
  CLI::App& insert =
      declare_on_data(app, request, "insert",
                      "Stores a vector under a key, and makes the collection if there is none");
  insert.add_option("key", request.keys, "The key")->type_name("KEY")->expected(1)->required();
  insert.add_option("--vector", request.vector, "Its components, as 1.0,2.0,3.0")
      ->type_name("V")
      ->required();
  insert
      .add_option("--attributes", request.attributes,
                  "Its attributes, a JSON object; an empty text removes those it has")
      ->type_name("JSON");
  declare_new(insert, request);
  declare_options(insert, request, "Option of VNEW, as M=32, if this makes the collection");

  CLI::App& get = declare_on_data(app, request, "get", "Prints the vector of a key");
  get.add_option("key", request.keys, "The key")->type_name("KEY")->expected(1)->required();

  CLI::App& erase = declare_on_data(app, request, "delete", "Deletes keys");
  erase.add_option("keys", request.keys, "The keys")->type_name("KEY")->required();

  CLI::App& list = declare_on_data(app, request, "list", "Prints the keys, in order");
  list.add_option("--limit", request.limit, "At most so many keys (0: all)")->type_name("N");

  declare_on_data(app, request, "info", "Describes the collection");
}

void declare_queries(CLI::App& app, CliRequest& request) {
  CLI::App& search = declare_on_data(app, request, "search", "Prints the nearest keys");
  search.add_option("vector", request.vector, "The query: numbers, as 1.1,2.1,3.1")->type_name("V");
  search
      .add_option("--key", request.key, "Searches for what is near the vector of this key instead")
      ->type_name("KEY");
  search.add_option("-k,--k", request.k, "How many keys to print (10)")->type_name("N");
  search
      .add_option("--ef", request.ef,
                  "Candidates that an approximate search keeps; more find better and take longer")
      ->type_name("N");
  search
      .add_option("--recall", request.share,
                  "Share of the true nearest to find, as 0.95; instead of --ef")
      ->type_name("SHARE");
  search
      .add_option("--filter", request.filter, "Only keys whose attributes match, as '.year > 1990'")
      ->type_name("F");
  search.add_flag("--attributes", request.shows_attributes,
                  "Prints the attributes of each key, too");
  declare_options(search, request, "Option of VSEARCH, as RADIUS=0.5");

  CLI::App& recall =
      declare_on_data(app, request, "recall", "Recalls by a cue, perhaps noisy or partly hidden");
  recall.add_option("vector", request.vector, "The cue: numbers, as 1.1,2.1,3.1")->type_name("V");
  recall.add_option("--key", request.key, "Takes the vector of this key instead")->type_name("KEY");
  recall
      .add_option("--mask", request.mask,
                  "The coordinates of the cue that are known, as 0-391,400 (all)")
      ->type_name("RANGES");
  recall.add_option("--top", request.top, "How many items behind the answer to name (10)")
      ->type_name("N");
  recall
      .add_option("--filter", request.filter,
                  "Recalls only by keys whose attributes match, as '.year > 1990'")
      ->type_name("F");
  declare_options(recall, request, "Option of VRECALL, as BETA=8 or STEPS=3");
}

void declare_files(CLI::App& app, CliRequest& request) {
  constexpr const char* kFormats = "npy|fvecs|bvecs|fbin|u8bin|hdf5|csv|jsonl";
  CLI::App& import =
      declare_on_data(app, request, "import",
                      "Stores the vectors of a file, and makes the collection if there is none");
  CLI::App& export_to = declare_on_data(app, request, "export", "Writes all vectors to a file");
  for (CLI::App* const command : {&import, &export_to}) {
    command->add_option("file", request.file, "The file")->type_name("FILE")->required();
    command->add_option("--format", request.format, "Format of the file (as its name ends)")
        ->type_name(kFormats);
    command->add_flag("--quiet", request.quiet, "Shows neither progress nor how long it took");
  }
  import.add_option("--prefix", request.prefix, "Is put in front of every key")->type_name("TEXT");
  import
      .add_option(
          "--keys", request.keys_file,
          "File with the key of each row on a line of its own (the number of the row, from 0)")
      ->type_name("FILE");
  import.add_option("--limit", request.limit, "At most so many rows (0: all)")->type_name("N");
  declare_new(import, request);
  declare_options(import, request, "Option of VNEW, as M=32, if this makes the collection");
  export_to
      .add_option(
          "--keys", request.keys_file,
          "File that gets the keys, one on each line, where the format has no place for them")
      ->type_name("FILE");
}

/// What stores of vectors have whose keys are numbers.
void declare_client(CLI::App& app, CliRequest& request) {
  CLI::App& client = *app.add_subcommand("client", "Puts and searches vectors by numbers");
  client.require_subcommand(1);
  CLI::App& put = declare_on_server(client, request, "put",
                                    "Stores a vector under a number, in a collection of a server");
  const auto take_id = [&request](const std::string& text) {
    const auto id = parse_number<std::uint32_t>(text);  // CLI11 would read octal digits
    if (!id) throw CLI::ValidationError("--id", "'" + text + "' is no number of 32 bits");
    request.keys = {std::to_string(*id)};
  };
  put.add_option_function<std::string>("--id", take_id, "The number, at most 4294967295")
      ->type_name("N")
      ->required();
  CLI::App& search =
      declare_on_server(client, request, "search", "Prints the nearest of a server's collection");
  search.add_option("-k,--k", request.k, "How many to print (10)")->type_name("N");
  for (CLI::App* const command : {&put, &search}) {
    command->add_option("--vector", request.vector, "Its components, as 0.1,0.2,0.3")
        ->type_name("V")
        ->required();
  }
}

OptionModel model_of(const CLI::Option& option) {
  OptionModel model;
  for (const std::string& name : option.get_snames()) model.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) model.names.push_back("--" + name);
  if (option.get_items_expected_max() != 0) model.value = option.get_type_name();
  model.help = option.get_description();
  model.is_required = option.get_required();
  model.repeats = option.get_items_expected_max() > 1 ||
                  option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return model;
}

CommandModel model_of(const CLI::App& app) {
  CommandModel model = {.name = app.get_name(), .help = app.get_description()};
  for (const CLI::Option* const option : app.get_options()) {
    model.options.push_back(model_of(*option));
  }
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    model.commands.push_back(model_of(*command));
  }
  return model;
}

/// The command whose work one of the client does.
std::string client_command(const CLI::App& app) {
  const std::string name = app.get_subcommands().front()->get_subcommands().front()->get_name();
  return name == "put" ? "insert" : name;
}

/// What the arguments were found to ask for.
void choose_action(const CLI::App& app, const std::string& shell, CommandLine& line) {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "serve") {
    line.action = CommandLine::Action::kServe;
  } else if (name == "check") {
    line.action = CommandLine::Action::kCheck;
  } else if (name == "completion" || name == "manual") {
    line.action = CommandLine::Action::kPrint;
    line.text = name == "manual" ? man_page(model_of(app), kVersion)
                                 : completion_script(model_of(app), shell);
  } else {
    line.action = CommandLine::Action::kCli;
    line.cli.place.asks_server = name == "client";
    line.cli.command = name == "client" ? client_command(app) : name;
  }
}

std::string failure(const CLI::App*, const CLI::Error& error) {
  return "engram: " + std::string(error.what()) + "; --help says more\n";
}

/// All subcommands but `serve`.
void declare_others(CLI::App& app, std::string& shell, CommandLine& line) {
  declare_check(app, line);
  declare_items(app, line.cli);
  declare_queries(app, line.cli);
  declare_client(app, line.cli);
  declare_files(app, line.cli);
  app.add_subcommand("completion", "Prints the script by which a shell completes")
      ->add_option("shell", shell, "Which shell")
      ->type_name("bash|zsh|fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->required();
  app.add_subcommand("manual", "Prints the manual page, for man -l");
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  constexpr int kWrongUsage = 2;
  CommandLine line;
  std::string shell;
  CLI::App app("An associative vector memory, spoken to over Redis's protocol", "engram");
  app.set_version_flag("--version", "engram " + std::string(kVersion));
  app.require_subcommand(1);
  app.failure_message(failure);
  declare_serve(app, line);
  // Two of the ten milliseconds in which a server starts would go to what it does not read.
  const bool is_server = argc > 1 && std::string_view(argv[1]) == "serve";
  if (!is_server) declare_others(app, shell, line);

  if (!names_subcommand(app, argc, argv)) {
    line.exit_code = kWrongUsage;
    return line;
  }
  try {
    app.parse(argc, argv);
    choose_action(app, shell, line);
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error) == EXIT_SUCCESS ? EXIT_SUCCESS : kWrongUsage;
  }
  return line;
}

}  // namespace engram
