// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/process.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

namespace engram {
namespace {

// Listeners, epoll, the wake-up, logs, journals and snapshots.
constexpr std::int64_t kOwnDescriptors = 64;

}  // namespace

std::int64_t reserve_descriptors(std::int64_t clients) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  const auto wanted = static_cast<rlim_t>(clients + kOwnDescriptors);
  if (limit.rlim_cur >= wanted) return clients;
  const rlimit higher{wanted, std::max(limit.rlim_max, wanted)};
  if (::setrlimit(RLIMIT_NOFILE, &higher) == 0) return clients;
  const rlimit highest{limit.rlim_max, limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &highest) == 0) limit.rlim_cur = limit.rlim_max;
  return std::min(clients, static_cast<std::int64_t>(limit.rlim_cur) - kOwnDescriptors);
}

Result<std::string> fit_clients(std::int64_t& maxclients, std::int64_t others) {
  const std::int64_t fit = reserve_descriptors(maxclients + others) - others;
  if (fit >= maxclients) return std::string();
  if (fit < 1) {
    return fail(ErrorCode::kResourceExhausted,
                "the limit on open files leaves room for no client; raise it with ulimit -n");
  }
  const std::int64_t wanted = std::exchange(maxclients, fit);
  return "maxclients is " + std::to_string(fit) + " instead of " + std::to_string(wanted) +
         ": the limit on open files allows no more; ulimit -n raises it";
}

Result<std::string> directory_path(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::canonical(path, error);
  if (!error && !std::filesystem::is_directory(absolute)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) return fail(ErrorCode::kIo, error.message());
  return absolute.string();
}

std::string random_hex_id() {
  thread_local std::random_device random;  // made anew it asks the processor what it can do
  std::string id;
  for (int i = 0; i < 40; ++i) id.push_back("0123456789abcdef"[random() % 16]);
  return id;
}

std::array<std::byte, 16> random_id() {
  thread_local std::random_device random;  // made anew it asks the processor what it can do
  std::array<std::byte, 16> id;
  for (std::byte& byte : id) byte = static_cast<std::byte>(random());
  id[0] |= std::byte{1};
  return id;
}

std::uint64_t random_seed() {
  thread_local std::random_device random;  // made anew it asks the processor what it can do
  return (static_cast<std::uint64_t>(random()) << 32) | random();
}

std::int64_t unix_time_us() {
  using std::chrono::duration_cast;
  return duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace engram
