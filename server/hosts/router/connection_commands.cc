// SPDX-License-Identifier: Apache-2.0
// What clients say of themselves, and what a router tells of itself.
#include <unistd.h>

#include <algorithm>
#include <string>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/config/password.h"
#include "server/hosts/router/commands.h"
#include "server/resp/integer.h"
#include "server/runtime/version.h"

namespace engram::router {
namespace {

bool authenticate(const CallPtr& call, std::string_view user, std::string_view password) {
  const bool fits = user == "default" && lets_in(password, call->services.password);
  if (fits) call->client->is_authenticated = true;
  if (!fits) call->answer_error(kWrongPassError);
  return fits;
}

bool is_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool wants(const Call& call, std::string_view section) {
  if (call.argv.size() == 1) return true;
  return std::any_of(call.argv.begin() + 1, call.argv.end(), [section](const std::string& word) {
    return equal_ignoring_case(word, section) || equal_ignoring_case(word, "all") ||
           equal_ignoring_case(word, "everything") || equal_ignoring_case(word, "default");
  });
}

class InfoText {
 public:
  void section(std::string_view name) {
    if (!text.empty()) text += "\r\n";
    text.append("# ").append(name).append("\r\n");
  }
  void field(std::string_view name, std::string_view value) {
    text.append(name).append(":").append(value).append("\r\n");
  }
  void field(std::string_view name, std::uint64_t value) { field(name, std::to_string(value)); }

  std::string text;
};

void write_router_section(InfoText& out, const RouterServices& services) {
  const Cluster& cluster = services.cluster;
  out.section("Router");
  out.field("cluster_known", cluster.knows_map() ? 1U : 0U);
  out.field("cluster_shards", cluster.map().shards().size());
  out.field("cluster_slots_served", cluster.map().covered());
  out.field("node_links_up", cluster.links_up());
  out.field("node_commands", cluster.counts().commands);
  out.field("redirects_moved", cluster.counts().moved);
  out.field("redirects_ask", cluster.counts().asked);
  out.field("unanswered_commands", cluster.counts().lost);
  out.field("slot_maps_learned", cluster.counts().maps);
  out.field("layouts_remembered", services.layouts.size());
  out.field("layouts_changed", services.counts.relaid);
  if (cluster.reads_may_be_stale()) {
    out.field("fresh_replicas", cluster.fresh_replicas());
    out.field("reads", cluster.counts().reads);
    out.field("replica_reads", cluster.counts().replica_reads);
    out.field("hedged_reads", cluster.counts().hedged);
    out.field("hedge_after_us", static_cast<std::uint64_t>(cluster.hedge_delay_us().value_or(0)));
  }
  out.field("held_up_commands", services.counts.held_up);
  out.field("second_asks", services.counts.second_asks);
  out.field("missing_partitions", services.counts.missing);
  out.field("partial_answers", services.counts.partial);
  for (std::size_t i = 0; i < cluster.map().shards().size(); ++i) {
    const Shard& shard = cluster.map().shards()[i];
    out.field("shard" + std::to_string(i),
              "master=" + shard.master + ",replicas=" + std::to_string(shard.replicas.size()));
  }
}

}  // namespace

void ping(const CallPtr& call) {
  if (call->argv.size() > 2) {
    return call->answer_error("ERR wrong number of arguments for 'ping' command");
  }
  call->answer([&](ReplyWriter& writer) {
    call->argv.size() == 1 ? writer.simple("PONG") : writer.bulk(call->argv[1]);
  });
}

void echo(const CallPtr& call) {
  call->answer([&](ReplyWriter& writer) { writer.bulk(call->argv[1]); });
}

void auth(const CallPtr& call) {
  if (call->argv.size() > 3) return call->answer_error(kSyntaxError);
  const bool names_user = call->argv.size() == 3;
  if (!names_user && call->services.password.empty()) {
    return call->answer_error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  if (authenticate(call, names_user ? call->argv[1] : "default", call->argv.back())) {
    call->answer_ok();
  }
}

void hello(const CallPtr& call) {
  RouterClient& client = *call->client;
  const std::vector<std::string>& argv = call->argv;
  RespVersion version = client.version;
  if (argv.size() > 1) {
    const auto number = parse_integer(argv[1]);
    if (!number || (*number != 2 && *number != 3)) {
      return call->answer_error("NOPROTO unsupported protocol version");
    }
    version = *number == 2 ? RespVersion::kResp2 : RespVersion::kResp3;
  }
  std::string name = client.name;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    if (equal_ignoring_case(argv[i], "AUTH") && i + 2 < argv.size()) {
      if (!authenticate(call, argv[i + 1], argv[i + 2])) return;
      i += 2;
    } else if (equal_ignoring_case(argv[i], "SETNAME") && i + 1 < argv.size() &&
               is_word(argv[i + 1])) {
      name = argv[++i];
    } else {
      return call->answer_error("ERR Syntax error in HELLO option '" + argv[i] + "'");
    }
  }
  if (!client.is_authenticated) {
    return call->answer_error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time");
  }
  client.name = name;
  client.version = call->version = version;
  call->answer([&](ReplyWriter& writer) {
    writer.map(7);
    const auto text = [&](std::string_view field, std::string_view value) {
      writer.bulk(field);
      writer.bulk(value);
    };
    text("server", "engram");
    text("version", kVersion);
    writer.bulk("proto");
    writer.integer(static_cast<std::int64_t>(version));
    writer.bulk("id");
    writer.integer(static_cast<std::int64_t>(client.id));
    text("mode", "standalone");  // clients need to know no slots
    text("role", "router");
    writer.bulk("modules");
    writer.array(0);
  });
}

void select_database(const CallPtr& call) {
  if (call->argv[1] == "0") return call->answer_ok();
  call->answer_error("ERR DB index is out of range");
}

void quit(const CallPtr& call) {
  call->client->is_closing = true;
  call->answer_ok();
}

void reset(const CallPtr& call) {
  RouterClient& client = *call->client;
  client.version = call->version = RespVersion::kResp2;
  client.name.clear();
  client.is_authenticated = call->services.password.empty();
  call->answer([](ReplyWriter& writer) { writer.simple("RESET"); });
}

void client_command(const CallPtr& call) {
  RouterClient& client = *call->client;
  const std::string what = to_lower(call->argv[1]);
  const std::size_t words = call->argv.size();
  if (what == "id" && words == 2) {
    return call->answer(
        [&](ReplyWriter& writer) { writer.integer(static_cast<std::int64_t>(client.id)); });
  }
  if (what == "getname" && words == 2) {
    return call->answer([&](ReplyWriter& writer) {
      client.name.empty() ? writer.null() : writer.bulk(client.name);
    });
  }
  if (what == "setname" && words == 3 && is_word(call->argv[2])) {
    client.name = call->argv[2];
    return call->answer_ok();
  }
  if (what == "setinfo" && words == 4 && is_word(call->argv[3])) {
    const bool is_name = equal_ignoring_case(call->argv[2], "LIB-NAME");
    (is_name ? client.library : client.library_version) = call->argv[3];
    return call->answer_ok();
  }
  if (what == "info" && words == 2) {
    return call->answer([&](ReplyWriter& writer) {
      writer.verbatim("id=" + std::to_string(client.id) + " addr=" + client.address + " name=" +
                      client.name + " resp=" + std::to_string(static_cast<int>(client.version)) +
                      " lib-name=" + client.library + " lib-ver=" + client.library_version + "\n");
    });
  }
  call->answer_error("ERR a router knows CLIENT ID, INFO, GETNAME, SETNAME and SETINFO");
}

/// redis-cli asks for its hints, and goes on without.
void command_command(const CallPtr& call) {
  const bool counts = call->argv.size() > 1 && equal_ignoring_case(call->argv[1], "COUNT");
  const bool documents = call->argv.size() > 1 && equal_ignoring_case(call->argv[1], "DOCS");
  call->answer([&](ReplyWriter& writer) {
    if (counts) return writer.integer(static_cast<std::int64_t>(command_count()));
    documents ? writer.map(0) : writer.array(0);
  });
}

void config_command(const CallPtr& call) {
  if (!equal_ignoring_case(call->argv[1], "GET")) {
    return call->answer_error("ERR a router has no settings but those of its command line");
  }
  call->answer([](ReplyWriter& writer) { writer.map(0); });
}

void info(const CallPtr& call) {
  const RouterServices& services = call->services;
  InfoText out;
  if (wants(*call, "server")) {
    out.section("Server");
    out.field("engram_version", kVersion);
    out.field("redis_mode", "router");
    out.field("process_id", static_cast<std::uint64_t>(::getpid()));
    out.field("tcp_port", static_cast<std::uint64_t>(services.port));
    out.field("uptime_in_seconds",
              static_cast<std::uint64_t>(steady_ms() - services.started_ms) / 1000);
  }
  if (wants(*call, "clients")) {
    out.section("Clients");
    out.field("connected_clients", services.client_count());
  }
  if (wants(*call, "stats")) {
    out.section("Stats");
    out.field("total_connections_received", services.counts.connections);
    out.field("total_commands_processed", services.counts.commands);
  }
  if (wants(*call, "router")) write_router_section(out, services);
  call->answer([&](ReplyWriter& writer) { writer.verbatim(out.text); });
}

}  // namespace engram::router
