// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/thread_traits.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace engram {
namespace {

constexpr int kWorkerNice = 5;
constexpr int kBackgroundNice = 10;
constexpr std::uint64_t kLoopSliceNs = 100'000;  // the least that the kernel grants

// The kernel's struct sched_attr, version 0; glibc 2.36 declares neither it nor the call.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};
static_assert(sizeof(SchedulingAttributes) == 48);

/// Linux gives every thread its own nice value; PRIO_PROCESS with a thread's id sets just that.
void set_nice(int value) {
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  [[maybe_unused]] const int result = ::setpriority(PRIO_PROCESS, thread, value);
}

}  // namespace

void name_this_thread(const std::string& name) {
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
}

void prefer_latency() {
  SchedulingAttributes attributes{};
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  attributes.runtime = kLoopSliceNs;
  // Kernels before 6.12 ignore the slice: then the workers' nice value has to do.
  [[maybe_unused]] const long result = ::syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

void yield_to_event_loop() {
  set_nice(kWorkerNice);
}

void prefer_background() {
  set_nice(kBackgroundNice);
}

}  // namespace engram
