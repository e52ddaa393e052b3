// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/process_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

namespace engram {
namespace {

double seconds(const timeval& time) {
  constexpr double kUsPerSecond = 1e6;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / kUsPerSecond;
}

/// Total and resident pages are the first two numbers of /proc/self/statm.
void read_memory(ProcessFacts& facts) {
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  std::array<char, 128> text{};
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  if (got <= 0) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const char* const end = text.data() + got;
  std::uint64_t pages = 0;
  const auto total = std::from_chars(text.data(), end, pages);
  facts.virtual_bytes = pages * page;
  if (total.ptr == end) return;
  std::from_chars(total.ptr + 1, end, pages);
  facts.resident_bytes = pages * page;
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
  read_memory(facts);
  facts.open_descriptors = count_entries("/proc/self/fd");
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  facts.most_descriptors = limit.rlim_cur;
  return facts;
}

}  // namespace engram
