/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into a server, it makes one system call on files of a directory fail. Calls are counted
 * from 1.
 *
 *   FAULT_DIRECTORY  whose files are meant
 *   FAULT_CALL       the number of the call
 *   FAULT_ERROR      its error number; 0: a write that writes half, other calls are carried out
 *   FAULT_LOG        a file for the name of the call that failed, and at the end the number of
 * calls
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* it would make open() another name of open64() */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { kDescriptors = 1 << 16 };

static char is_meant[kDescriptors];
static long calls;

/* Looked up before main(): write() is called by signal handlers, and dlsym() takes a lock that the
 * interrupted thread may be about to hold. */
static struct {
  __typeof__(&open) open;
  __typeof__(&close) close;
  __typeof__(&write) write;
  __typeof__(&fdatasync) fdatasync;
  __typeof__(&fsync) fsync;
  __typeof__(&ftruncate) ftruncate;
  __typeof__(&rename) rename;
  __typeof__(&unlink) unlink;
} real;

#define FIND(name) (real.name = __extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void find_calls(void) {
  FIND(open);
  FIND(close);
  FIND(write);
  FIND(fdatasync);
  FIND(fsync);
  FIND(ftruncate);
  FIND(rename);
  FIND(unlink);
}

/* Other libraries may be set up, and call, before this one. */
#define REAL(name) (real.name == NULL ? find_calls() : (void)0, real.name)

static void note(const char* text, long number) {
  const char* const path = getenv("FAULT_LOG");
  FILE* const log = path == NULL ? NULL : fopen(path, "a");
  if (log == NULL) return;
  fprintf(log, "%s %ld\n", text, number);
  fclose(log);
}

static int is_path_meant(const char* path) {
  const char* const directory = getenv("FAULT_DIRECTORY");
  return directory != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_descriptor_meant(int fd) {
  return fd >= 0 && fd < kDescriptors && __atomic_load_n(&is_meant[fd], __ATOMIC_ACQUIRE);
}

/* Whether this call is to fail; then errno is set. */
static int fails(const char* name) {
  const long call = __atomic_add_fetch(&calls, 1, __ATOMIC_ACQ_REL);
  const char* const chosen = getenv("FAULT_CALL");
  if (chosen == NULL || call != atol(chosen)) return 0;
  note(name, call);
  errno = atoi(getenv("FAULT_ERROR"));
  return 1;
}

static int opened(const char* path, int flags, mode_t mode) {
  if (!is_path_meant(path)) return REAL(open)(path, flags, mode);
  if (fails("open") && errno != 0) return -1;
  const int fd = REAL(open)(path, flags, mode);
  if (fd >= 0 && fd < kDescriptors) __atomic_store_n(&is_meant[fd], 1, __ATOMIC_RELEASE);
  return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened(path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
  if (is_descriptor_meant(fd)) __atomic_store_n(&is_meant[fd], 0, __ATOMIC_RELEASE);
  return REAL(close)(fd);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  if (is_descriptor_meant(fd) && fails("write")) {
    if (errno != 0) return -1;
    if (count > 1) count /= 2;
  }
  return REAL(write)(fd, bytes, count);
}

int fdatasync(int fd) {
  if (is_descriptor_meant(fd) && fails("fdatasync") && errno != 0) return -1;
  return REAL(fdatasync)(fd);
}

int fsync(int fd) {
  if (is_descriptor_meant(fd) && fails("fsync") && errno != 0) return -1;
  return REAL(fsync)(fd);
}

int ftruncate(int fd, off_t size) {
  if (is_descriptor_meant(fd) && fails("ftruncate") && errno != 0) return -1;
  return REAL(ftruncate)(fd, size);
}

int rename(const char* from, const char* to) {
  if (is_path_meant(from) && fails("rename") && errno != 0) return -1;
  return REAL(rename)(from, to);
}

int unlink(const char* path) {
  if (is_path_meant(path) && fails("unlink") && errno != 0) return -1;
  return REAL(unlink)(path);
}

__attribute__((destructor)) static void tell_calls(void) {
  note("calls", calls);
}
