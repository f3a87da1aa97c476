/* SPDX-License-Identifier: Apache-2.0
 * src/comm/segment.c: the board of a group of processes.
 *
 * Rank 0 makes the file, the others open it when it is complete; after a first meeting rank 0
 * takes the name away, and a second meeting lets everyone go. Every rank holds a lock on byte
 * `rank` of the file, on an open file description of its own (OFD lock): the kernel drops it when
 * the process ends in whatever way, also before the parent has waited for it, and it means the
 * same in every pid name space. So
 *   - a rank is alive as long as its byte is locked;
 *   - a file whose byte 0 is not locked is left over from a dead group: rank 0 replaces it, the
 *     others look again.
 * Where the kernel has no such locks, ranks count as alive and the time limit remains. */
#include "comm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH = 256, FIRST_NAP_NS = 20000 };

/* ---- locks ------------------------------------------------------------------------------- */

static struct flock byte_of(int rank)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = rank, .l_len = 1};
}

static bool is_locked(int fd, int rank)
{
    struct flock lock = byte_of(rank);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return true; // not known
    return lock.l_type != F_UNLCK;
}

/* False if someone else has the byte. */
static bool take_lock(int fd, int rank)
{
    struct flock lock = byte_of(rank);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
    return errno != EAGAIN && errno != EACCES;
}

static bool alive(void *owner, int rank)
{
    return is_locked(((mlai_segment_t *)owner)->fd, rank);
}

/* ---- time -------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sleeps, each time twice as long, up to a millisecond; false when `until` has passed. */
static bool wait_a_little(double until, long *ns)
{
    struct timespec t = {0, *ns};
    nanosleep(&t, NULL);
    if (*ns < 1000000) *ns *= 2;
    return now() < until;
}

/* ---- joining ----------------------------------------------------------------------------- */

size_t mlai_segment_page(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (size_t)page : 4096;
}

mla_status_t mlai_segment_reserve(mlai_segment_t *seg, size_t at, size_t bytes, mlai_error_t *err)
{
    // Writing to a page that the file system has no room for would kill the process. In pieces,
    // so that a signal does not undo all of it again and again.
    const size_t piece = (size_t)64 << 20;
    while (bytes > 0) {
        size_t part = bytes < piece ? bytes : piece;
        int code = posix_fallocate(seg->fd, (off_t)at, (off_t)part);
        if (code == EINTR) continue;
        if (code != 0)
            return mlai_fail(err, MLA_NOMEM,
                             "no shared memory of %zu bytes: %s (see the size of "
                             "/dev/shm)",
                             bytes, strerror(code));
        at += part;
        bytes -= part;
    }
    return MLA_OK;
}

static mla_status_t map_board(mlai_segment_t *seg, int nranks, mlai_error_t *err)
{
    seg->bytes = mlai_board_bytes(nranks);
    void *mem = mmap(NULL, seg->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, seg->fd, 0);
    if (mem == MAP_FAILED)
        return mlai_fail(err, MLA_NOMEM, "cannot map %zu bytes of shared memory: %s", seg->bytes,
                         strerror(errno));
    seg->mem = mem;
    return MLA_OK;
}

/* Rank 0 makes the file. */
static mla_status_t create(mlai_segment_t *seg, const char *path, int nranks, double until,
                           mlai_error_t *err)
{
    long nap = FIRST_NAP_NS;
    while ((seg->fd = shm_open(path, O_CREAT | O_EXCL | O_RDWR, 0600)) < 0) {
        if (errno != EEXIST)
            return mlai_fail(err, MLA_COMM, "cannot create shared memory %s: %s", path,
                             strerror(errno));
        int old = shm_open(path, O_RDWR, 0600);
        bool used = old >= 0 && is_locked(old, 0);
        if (old >= 0 && !used) shm_unlink(path); // left over
        if (old >= 0) close(old);
        if (used && !wait_a_little(until, &nap))
            return mlai_fail(err, MLA_COMM, "another group uses the name %s", path);
    }
    take_lock(seg->fd, 0);
    MLAI_TRY(mlai_segment_reserve(seg, 0, mlai_board_bytes(nranks), err));
    MLAI_TRY(map_board(seg, nranks, err));
    mlai_board_format(seg->mem, nranks);
    return MLA_OK;
}

/* Whether the file is complete, and rank 0 alive: then *nranks is what rank 0 says. */
static bool is_ready(int fd, int *nranks)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || s.st_size < MLAI_BOARD_HEAD) return false;
    void *head = mmap(NULL, MLAI_BOARD_HEAD, PROT_READ, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) return false;
    *nranks = mlai_board_nranks(head);
    munmap(head, MLAI_BOARD_HEAD);
    return *nranks > 0 && s.st_size >= (off_t)mlai_board_bytes(*nranks) && is_locked(fd, 0);
}

/* The other ranks wait for it. */
static mla_status_t attach(mlai_segment_t *seg, const char *path, int nranks, int rank,
                           double timeout_s, double until, mlai_error_t *err)
{
    int theirs = 0;
    long nap = FIRST_NAP_NS;
    for (;;) {
        seg->fd = shm_open(path, O_RDWR, 0600);
        if (seg->fd < 0 && errno != ENOENT)
            return mlai_fail(err, MLA_COMM, "cannot open shared memory %s: %s", path,
                             strerror(errno));
        if (seg->fd >= 0 && is_ready(seg->fd, &theirs)) break;
        if (seg->fd >= 0) close(seg->fd);
        seg->fd = -1;
        if (!wait_a_little(until, &nap))
            return mlai_fail(err, MLA_COMM, "rank %d waited %g s for rank 0 to open the group %s",
                             rank, timeout_s, path);
    }
    if (theirs != nranks)
        return mlai_fail(err, MLA_ARG, "the group %s has %d ranks for rank 0, %d for rank %d",
                         path, theirs, nranks, rank);
    if (!take_lock(seg->fd, rank))
        return mlai_fail(err, MLA_ARG, "rank %d of the group %s has come twice", rank, path);
    return map_board(seg, nranks, err);
}

/* Takes the name away if it still is that of this file. */
static void remove_name(const mlai_segment_t *seg, const char *path)
{
    struct stat mine, named;
    int fd = shm_open(path, O_RDWR, 0600);
    if (fd < 0) return;
    if (fstat(seg->fd, &mine) == 0 && fstat(fd, &named) == 0 && mine.st_ino == named.st_ino)
        shm_unlink(path);
    close(fd);
}

/* Two meetings: nobody returns, and uses the name again, while it is there. */
static mla_status_t gather(mlai_segment_t *seg, const char *path, mlai_board_t *board,
                           double until, mlai_error_t *err)
{
    double timeout_s = board->timeout_s, left = until - now();
    board->alive = alive;
    board->owner = seg;
    board->timeout_s = left > 1e-3 ? left : 1e-3;
    MLAI_TRY(mlai_board_meet(board, NULL, 0, err));
    if (board->rank == 0) remove_name(seg, path);
    board->timeout_s = timeout_s;
    return mlai_board_meet(board, NULL, 0, err);
}

static mla_status_t check_name(const char *name, mlai_error_t *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    if (!name) return mlai_fail(err, MLA_ARG, "name is NULL");
    size_t length = strlen(name);
    if (length < 1 || length > 200 || strspn(name, letters) != length)
        return mlai_fail(err, MLA_ARG,
                         "name is \"%.200s\", expected 1 to 200 letters, digits, '-', '_', '.'",
                         name);
    return MLA_OK;
}

mla_status_t mlai_segment_join(mlai_segment_t *seg, const char *name, int nranks, int rank,
                               double timeout_s, mlai_board_t *board, mlai_error_t *err)
{
    *seg = (mlai_segment_t){.fd = -1};
    char path[PATH];
    double until = now() + timeout_s;
    bool open = false;
    mla_status_t st;
    MLAI_TRY(mlai_board_args(nranks, rank, timeout_s, err));
    MLAI_TRY(check_name(name, err));
    snprintf(path, sizeof path, "/meshlinalg-%s", name);
    MLAI_TRY_GOTO(st,
                  rank == 0 ? create(seg, path, nranks, until, err)
                            : attach(seg, path, nranks, rank, timeout_s, until, err),
                  done);
    MLAI_TRY_GOTO(st, mlai_board_open(board, seg->mem, rank, timeout_s, true, err), done);
    open = true;
    MLAI_TRY_GOTO(st, gather(seg, path, board, until, err), done);
    return MLA_OK;
done:
    // The name is rank 0's to remove; of a dead rank 0, anyone's.
    if (seg->fd >= 0 && (rank == 0 || !is_locked(seg->fd, 0))) remove_name(seg, path);
    if (open) mlai_board_leave(board);
    mlai_segment_close(seg);
    return st;
}

void mlai_segment_close(mlai_segment_t *seg)
{
    if (seg->mem) munmap((void *)seg->mem, seg->bytes);
    if (seg->fd >= 0) close(seg->fd);
    *seg = (mlai_segment_t){.fd = -1};
}
