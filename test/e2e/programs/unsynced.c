/*
 * Preloaded into a node, keeps a journal of everything below UNSYNCED_FOLDER that a power cut may undo: what was written and not synced, names
 * that were made, changed or removed and whose folder was not synced. After kill -9 the test undoes it (test/e2e/unsynced.ts). Beside it:
 * UNSYNCED_FAIL=n lets the n-th fdatasync fail with EIO, once; UNSYNCED_LIE=1 lets all of them succeed and sync nothing.
 *
 * A record: its kind, three numbers of 8 bytes (inode of the file or of the folder, offset or size, length), then that many bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 4096
#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char tracked[FDS_MAX];
static int journal = -1;
static long syncs = 0;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }
static const char *folder(void) { return getenv("UNSYNCED_FOLDER"); }

static int is_below(const char *path) {
  const char *root = folder();
  return root != NULL && strncmp(path, root, strlen(root)) == 0;
}

static int is_tracked(int fd) { return fd >= 0 && fd < FDS_MAX && tracked[fd]; }

static void record(char kind, uint64_t inode, uint64_t at, const void *bytes, uint64_t length) {
  if (journal < 0) journal = REAL(open64)(getenv("UNSYNCED_JOURNAL"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  uint64_t numbers[3] = {inode, at, length};
  struct iovec parts[3] = {{&kind, 1}, {numbers, sizeof numbers}, {(void *)bytes, length}};
  if (REAL(writev)(journal, parts, 3) < 0) abort();
}

static uint64_t inode_of(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

static uint64_t folder_of(const char *path) {
  char copy[PATH_MAX];
  struct stat found;
  snprintf(copy, sizeof copy, "%s", path);
  return stat(dirname(copy), &found) == 0 ? found.st_ino : 0;
}

/* The file stays reachable under another name until the test is over, and its inode with it. */
static void save(const char *path, char *saved) {
  static int count = 0;
  struct stat found;
  saved[0] = 0;
  if (stat(path, &found) != 0) return;
  snprintf(saved, PATH_MAX, "%s.%d.%d", getenv("UNSYNCED_JOURNAL"), getpid(), count++);
  if (REAL(link)(path, saved) != 0) saved[0] = 0;
}

/* What a write of `length` bytes at `at` takes the place of, and the size of the file before. */
static void before_write(int fd, off_t at, size_t length) {
  struct stat found;
  if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return;
  unsigned char *old = malloc(length + 8);
  uint64_t size = found.st_size;
  memcpy(old, &size, 8);
  ssize_t got = pread64(fd, old + 8, length, at);
  record('W', found.st_ino, at, old, 8 + (got < 0 ? 0 : got));
  free(old);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  if (!is_tracked(fd)) return REAL(pwrite64)(fd, bytes, length, at);
  pthread_mutex_lock(&lock);
  before_write(fd, at, length);
  ssize_t done = REAL(pwrite64)(fd, bytes, length, at);
  pthread_mutex_unlock(&lock);
  return done;
}

static off_t place_of(int fd) {
  struct stat found;
  if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &found) == 0 ? found.st_size : 0;
  return lseek64(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (!is_tracked(fd)) return REAL(write)(fd, bytes, length);
  pthread_mutex_lock(&lock);
  before_write(fd, place_of(fd), length);
  ssize_t done = REAL(write)(fd, bytes, length);
  pthread_mutex_unlock(&lock);
  return done;
}

static size_t length_of(const struct iovec *parts, int count) {
  size_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  return length;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!is_tracked(fd)) return REAL(writev)(fd, parts, count);
  pthread_mutex_lock(&lock);
  before_write(fd, place_of(fd), length_of(parts, count));
  ssize_t done = REAL(writev)(fd, parts, count);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  if (!is_tracked(fd)) return REAL(pwritev64)(fd, parts, count, at);
  pthread_mutex_lock(&lock);
  before_write(fd, at, length_of(parts, count));
  ssize_t done = REAL(pwritev64)(fd, parts, count, at);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate64(int fd, off64_t size) {
  struct stat found;
  if (!is_tracked(fd) || fstat(fd, &found) != 0) return REAL(ftruncate64)(fd, size);
  pthread_mutex_lock(&lock);
  before_write(fd, size, found.st_size > size ? found.st_size - size : 0);
  int done = REAL(ftruncate64)(fd, size);
  pthread_mutex_unlock(&lock);
  return done;
}

static int sync_of(int fd, int (*sync)(int)) {
  if (!is_tracked(fd)) return sync(fd);
  pthread_mutex_lock(&lock);
  struct stat found;
  int is_folder = fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
  const char *fail = getenv("UNSYNCED_FAIL");
  int done = 0;
  if (!is_folder && fail != NULL && ++syncs == atol(fail)) {
    record('F', found.st_ino, 0, NULL, 0);
    errno = EIO;
    done = -1;
  } else if (getenv("UNSYNCED_LIE") == NULL) {
    record(is_folder ? 'D' : 'S', found.st_ino, 0, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int fdatasync(int fd) { return sync_of(fd, REAL(fdatasync)); }
int fsync(int fd) { return sync_of(fd, REAL(fsync)); }

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  if (!is_below(path)) return REAL(open64)(path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = flags & O_CREAT && access(path, F_OK) != 0;
  int fd = REAL(open64)(path, flags & ~O_TRUNC, mode);
  if (fd >= 0 && fd < FDS_MAX) tracked[fd] = 1;
  if (fd >= 0 && is_new) record('C', folder_of(path), inode_of(fd), path, strlen(path));
  pthread_mutex_unlock(&lock);
  if (fd >= 0 && flags & O_TRUNC) ftruncate64(fd, 0);
  return fd;
}

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) tracked[fd] = 0;
  return REAL(close)(fd);
}

static void record_names(char kind, const char *path, const char *other, const char *saved) {
  char names[3 * PATH_MAX];
  int length = snprintf(names, sizeof names, "%s\n%s\n%s", path, other, saved);
  record(kind, folder_of(path), 0, names, length);
}

int rename(const char *from, const char *to) {
  if (!is_below(from)) return REAL(rename)(from, to);
  char saved[PATH_MAX];
  pthread_mutex_lock(&lock);
  save(to, saved);
  record_names('N', to, from, saved);
  int done = REAL(rename)(from, to);
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *path) {
  if (!is_below(path)) return REAL(unlink)(path);
  char saved[PATH_MAX];
  pthread_mutex_lock(&lock);
  save(path, saved);
  record_names('U', path, "", saved);
  int done = REAL(unlink)(path);
  pthread_mutex_unlock(&lock);
  return done;
}
