/*
 * Preloaded into a real process: notes its calls on files below one directory, in the order in which
 * they return, and can fail or drop syncs. Compiled by the test where a compiler is there.
 *
 * TIDEMARK_SHIM_DIR   files below it are watched
 * TIDEMARK_SHIM_LOG   file that takes one line a call: name, path, and for writes position and bytes
 * TIDEMARK_SHIM_FAIL  the sync of this number (from 1) fails with EIO, and each later one too
 * TIDEMARK_SHIM_DROP  1: syncs return success and do nothing; they are noted as `dropped`
 *
 * A write into a file that was opened with O_DSYNC is a write and a sync, and is noted as both. Lines
 * that the process itself writes to descriptor 1 are noted too, as `say`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *directory, *fail, *drop;
static int out = -1;
static long syncs;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  const char *log = getenv("TIDEMARK_SHIM_LOG");
  directory = getenv("TIDEMARK_SHIM_DIR");
  fail = getenv("TIDEMARK_SHIM_FAIL");
  drop = getenv("TIDEMARK_SHIM_DROP");
  if (log && directory) out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* The path of a watched descriptor, below the directory; 0 when it is none. */
static int watched(int fd, char *path, size_t size) {
  char link[64];
  ssize_t length;
  if (out < 0 || fd < 0 || fd == out) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, size - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, directory, strlen(directory)) == 0;
}

/* One line; by the system call itself, since `write` is watched. */
static void note(const char *format, ...) {
  char line[8300];
  va_list values;
  int length;
  va_start(values, format);
  length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (length >= (int)sizeof line) length = sizeof line - 1;
  if (syscall(SYS_write, out, line, (size_t)length) != length) abort();
}

/* What becomes of a sync: 0 done, 1 failed, 2 dropped. */
static int fate(void) {
  long number = __sync_add_and_fetch(&syncs, 1);
  if (fail && number >= atol(fail)) return 1;
  return drop ? 2 : 0;
}

static int synced(int fd, int (*real)(int), const char *name) {
  char path[4096];
  int result, how;
  if (!watched(fd, path, sizeof path)) return real(fd);
  how = fate();
  if (how == 1) {
    note("failed %s\n", path);
    errno = EIO;
    return -1;
  }
  result = how == 2 ? 0 : real(fd);
  note("%s %s\n", how == 2 ? "dropped" : result == 0 ? name : "failed", path);
  return result;
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return synced(fd, real, "sync");
}

int fsync(int fd) {
  REAL(fsync);
  return synced(fd, real, "sync");
}

static ssize_t wrote(int fd, off_t at, ssize_t bytes, const char *path) {
  int flags = fcntl(fd, F_GETFL);
  if (bytes < 0) return bytes;
  note("write %s %lld %lld\n", path, (long long)at, (long long)bytes);
  if (flags >= 0 && (flags & O_DSYNC)) {
    int how = fate();
    note("%s %s\n", how == 0 ? "sync" : how == 1 ? "failed" : "dropped", path);
    if (how == 1) {
      errno = EIO;
      return -1;
    }
  }
  return bytes;
}

#define PWRITE(name, offset_type)                                         \
  ssize_t name(int fd, const void *buffer, size_t size, offset_type at) { \
    char path[4096];                                                      \
    REAL(name);                                                           \
    if (!watched(fd, path, sizeof path)) return real(fd, buffer, size, at); \
    return wrote(fd, at, real(fd, buffer, size, at), path);               \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                               \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type at) {   \
    char path[4096];                                                             \
    REAL(name);                                                                  \
    if (!watched(fd, path, sizeof path)) return real(fd, parts, count, at);      \
    return wrote(fd, at, real(fd, parts, count, at), path);                      \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

/* What the process says: written to descriptor 1, one line or several. */
ssize_t write(int fd, const void *buffer, size_t size) {
  REAL(write);
  ssize_t result;
  if (fd != 1 || out < 0) return real(fd, buffer, size);
  /* A full pipe takes nothing; the process says it again. */
  result = real(fd, buffer, size);
  if (result == (ssize_t)size) {
    const char *text = buffer, *end = text + size;
    while (text < end) {
      const char *stop = memchr(text, '\n', (size_t)(end - text));
      int length = (int)((stop ? stop : end) - text);
      note("say %.*s\n", length, text);
      text += length + 1;
    }
  }
  return result;
}

static void named(const char *call, const char *from, const char *to) {
  if (out < 0 || strncmp(to, directory, strlen(directory)) != 0) return;
  note("%s %s %s\n", call, from, to);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  int result = real(from, to);
  if (result == 0) named("rename", from, to);
  return result;
}

int link(const char *from, const char *to) {
  REAL(link);
  int result = real(from, to);
  if (result == 0) named("link", from, to);
  return result;
}

int unlink(const char *path) {
  REAL(unlink);
  int result = real(path);
  if (result == 0) named("unlink", "-", path);
  return result;
}
