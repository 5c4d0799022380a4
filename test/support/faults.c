// A library for LD_PRELOAD that does harm at one exact step of writing files.
//
// It counts the calls that make, fill, sync, rename, link or remove files below FLEXAE_FAULT_DIR. At
// call FLEXAE_FAULT_AT (from 1), before anything is done, FLEXAE_FAULT decides: "kill" ends the
// process with SIGKILL; "full" fails that write and all later ones with ENOSPC, as a full disk does.
// Each call is noted as a line in FLEXAE_FAULT_LOG, if that is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int calls;
static atomic_bool ours[65536];

// Files of lines that only grow are left out: what they get, and when, follows the clock.
static int below(const char *path) {
  const char *folder = getenv("FLEXAE_FAULT_DIR");
  if (folder == NULL || path == NULL || strstr(path, ".jsonl") != NULL) return 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

// Returns whether the call is to fail with ENOSPC.
static int step(const char *what, const char *path, int fills) {
  const int number = atomic_fetch_add(&calls, 1) + 1;
  const char *log = getenv("FLEXAE_FAULT_LOG");
  if (log != NULL) {
    char line[PATH_MAX + 64];
    const int length = snprintf(line, sizeof line, "%d %s %s\n", number, what, path);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0) {
      (void)!syscall(SYS_write, fd, line, (size_t)length);
      syscall(SYS_close, fd);
    }
  }
  const char *fault = getenv("FLEXAE_FAULT");
  const char *at = getenv("FLEXAE_FAULT_AT");
  if (fault == NULL || at == NULL) return 0;
  if (strcmp(fault, "kill") == 0 && number == atoi(at)) {
    syscall(SYS_kill, getpid(), SIGKILL);
  }
  return strcmp(fault, "full") == 0 && fills && number >= atoi(at);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(int fd, const char *path, int flags) {
  if (fd >= 0 && fd < 65536) {
    atomic_store(&ours[fd], below(path) && (flags & (O_WRONLY | O_RDWR)) != 0);
  }
  return fd;
}

static int is_ours(int fd) { return fd >= 0 && fd < 65536 && atomic_load(&ours[fd]); }

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (below(path) && (flags & O_CREAT)) step("open", path, 0);
  return opened(REAL(open)(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (below(path) && (flags & O_CREAT)) step("open", path, 0);
  return opened(REAL(open64)(path, flags, mode), path, flags);
}

// What is closed is somebody else's next, such as a thread's own: it is no file any more.
int eventfd(unsigned int value, int flags) { return opened(REAL(eventfd)(value, flags), NULL, 0); }

int close(int fd) {
  if (fd >= 0 && fd < 65536) atomic_store(&ours[fd], 0);
  return REAL(close)(fd);
}

#define FULL_UNLESS_DONE(what, fd) \
  if (is_ours(fd) && step(what, "", 1)) { \
    errno = ENOSPC; \
    return -1; \
  }

ssize_t write(int fd, const void *data, size_t size) {
  FULL_UNLESS_DONE("write", fd)
  return REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  FULL_UNLESS_DONE("write", fd)
  return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  FULL_UNLESS_DONE("write", fd)
  return REAL(pwrite64)(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *data, int count) {
  FULL_UNLESS_DONE("write", fd)
  return REAL(writev)(fd, data, count);
}

int fsync(int fd) {
  if (is_ours(fd)) step("fsync", "", 0);
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  if (is_ours(fd)) step("fsync", "", 0);
  return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
  if (below(to)) step("rename", to, 0);
  return REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
  if (below(to)) step("link", to, 0);
  return REAL(link)(from, to);
}

int unlink(const char *path) {
  if (below(path)) step("unlink", path, 0);
  return REAL(unlink)(path);
}
