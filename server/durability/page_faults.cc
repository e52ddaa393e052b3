// SPDX-License-Identifier: Apache-2.0
#include "server/durability/page_faults.h"

#include <signal.h>

#include <atomic>
#include <cerrno>
#include <iterator>
#include <map>
#include <mutex>

namespace engram {
namespace {

/// The memory that is watched, and the handler of its faults. The lock is never held where such
/// memory is touched, so the handler may take it.
class FaultTable {
 public:
  static FaultTable& instance() {
    static auto* const table = new FaultTable;  // faults may come until the very end
    return *table;
  }

  void add(std::uintptr_t begin, FaultTaker& taker) {
    const std::lock_guard lock(mutex_);
    install_all();
    takers_[begin] = &taker;
  }

  void keep_handlers() {
    const std::lock_guard lock(mutex_);
    if (!takers_.empty()) install_all();
  }

  void remove(std::uintptr_t begin) {
    const std::lock_guard lock(mutex_);
    takers_.erase(begin);
  }

 private:
  void install_all() {
    handed_back_.store(0);
    install(SIGSEGV, former_segv_);
    install(SIGBUS, former_bus_);
  }
  static void handle(int signal, siginfo_t* info, void* context);
  static void install(int signal, struct sigaction& former);
  FaultTaker* find(std::uintptr_t address);
  void pass_on(int signal, siginfo_t* info);

  std::mutex mutex_;
  std::map<std::uintptr_t, FaultTaker*> takers_;  // by where their memory begins
  std::atomic<int> handed_back_ = 0;              // the signal; 0: none
  struct sigaction former_segv_ {};
  struct sigaction former_bus_ {};
};

/// What contains `address` lives on: whoever touched it sees to that.
FaultTaker* FaultTable::find(std::uintptr_t address) {
  const std::lock_guard lock(mutex_);
  auto next = takers_.upper_bound(address);
  if (next == takers_.begin()) return nullptr;
  FaultTaker* const taker = std::prev(next)->second;
  return taker->contains(address) ? taker : nullptr;
}

/// Every time: whoever else is in the process may have put a handler over this one.
void FaultTable::install(int signal, struct sigaction& former) {
  struct sigaction current {};
  ::sigaction(signal, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == handle) return;
  former = current;
  struct sigaction action {};
  action.sa_sigaction = handle;
  // Not on an alternate stack: a block is read through the stack, and those are small.
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

void FaultTable::handle(int signal, siginfo_t* info, void* /*context*/) {
  const int saved_errno = errno;
  FaultTable& table = instance();
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  // A signal that was sent, by kill() say, has no address.
  FaultTaker* const taker = info->si_code > 0 ? table.find(address) : nullptr;
  if (taker == nullptr || !taker->take_fault(address, signal == SIGBUS)) {
    table.pass_on(signal, info);
  }
  errno = saved_errno;
}

/// Hands the signal back to whoever had it: the instruction is tried again, or the signal sent
/// again, and it is theirs. Some, Python's faulthandler for one, hand it on to whom they found
/// there, which may be this again: then it ends the process.
void FaultTable::pass_on(int signal, siginfo_t* info) {
  const bool is_again = handed_back_.exchange(signal) == signal;
  struct sigaction former = signal == SIGSEGV ? former_segv_ : former_bus_;
  if (is_again) former = {};
  ::sigaction(signal, &former, nullptr);
  if (is_again || info->si_code <= 0) ::raise(signal);
}

}  // namespace

void watch_faults(std::uintptr_t begin, FaultTaker& taker) {
  FaultTable::instance().add(begin, taker);
}

void keep_fault_handlers() {
  FaultTable::instance().keep_handlers();
}

void forget_faults(std::uintptr_t begin) {
  FaultTable::instance().remove(begin);
}

}  // namespace engram
