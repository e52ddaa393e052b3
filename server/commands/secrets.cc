// SPDX-License-Identifier: Apache-2.0
#include "server/commands/secrets.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace engram {
namespace {

/// Parameters that hold passwords, of Redis and Valkey too: people try them.
constexpr std::array<std::string_view, 7> kSecretParameters = {"requirepass",
                                                               "masterauth",
                                                               "masteruser",
                                                               "primaryauth",
                                                               "primaryuser",
                                                               "tls-key-file-pass",
                                                               "tls-client-key-file-pass"};

bool names_secret(std::string_view word) {
  return std::any_of(kSecretParameters.begin(), kSecretParameters.end(),
                     [word](std::string_view name) { return equal_ignoring_case(word, name); });
}

/// Everything after AUTH but a SETNAME at the end.
SecretArguments secrets_of_hello(Arguments argv) {
  const auto auth = std::find_if(argv.begin(), argv.end(), [](std::string_view word) {
    return equal_ignoring_case(word, "AUTH");
  });
  if (auth == argv.end()) return {};
  constexpr std::size_t kOfAuth = 3;  // the word, a user and a password
  const auto rest = static_cast<std::size_t>(argv.end() - auth);
  const bool has_name =
      rest >= kOfAuth + 2 && equal_ignoring_case(argv[argv.size() - 2], "SETNAME");
  return {argv.size() - rest + 1, argv.size() - (has_name ? 2 : 0)};
}

}  // namespace

// A password with spaces that nobody quoted is several arguments, so what follows may be its rest.
SecretArguments secrets_of(const CommandSpec& spec, Arguments argv) {
  if ((spec.flags & command_flag::kTellsSecrets) == 0) return {};
  if (spec.name == "auth") return {1, argv.size()};
  if (spec.name == "hello") return secrets_of_hello(argv);
  const auto name = std::find_if(argv.begin(), argv.end(), names_secret);  // CONFIG SET
  if (name == argv.end()) return {};
  return {static_cast<std::size_t>(name - argv.begin()) + 1, argv.size()};
}

}  // namespace engram
