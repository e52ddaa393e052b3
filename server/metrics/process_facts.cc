// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/process_facts.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <string_view>

#include "server/runtime/memory.h"

namespace engram {
namespace {

double seconds(const timeval& time) {
  constexpr double kUsPerSecond = 1e6;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / kUsPerSecond;
}

/// What the size of such a folder tells since Linux 6.2, and counting its entries before.
std::uint64_t count_entries(const char* path) {
  struct stat status {};
  if (::stat(path, &status) == 0 && status.st_size > 0) {
    return static_cast<std::uint64_t>(status.st_size);
  }
  DIR* const folder = ::opendir(path);
  if (folder == nullptr) return 0;
  std::uint64_t count = 0;
  while (const dirent* const entry = ::readdir(folder)) {
    if (std::string_view(entry->d_name).front() != '.') ++count;
  }
  ::closedir(folder);
  return count > 0 ? count - 1 : 0;  // without the folder's own
}

}  // namespace

ProcessFacts process_facts() {
  ProcessFacts facts;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  facts.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  const ProcessMemory memory = process_memory();
  facts.resident_bytes = memory.resident_bytes;
  facts.virtual_bytes = memory.virtual_bytes;
  facts.open_descriptors = count_entries("/proc/self/fd");
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  facts.most_descriptors = limit.rlim_cur;
  return facts;
}

}  // namespace engram
