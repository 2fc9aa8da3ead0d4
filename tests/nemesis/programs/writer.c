/*
 * A guest's process, as storage and the lock daemon see a QEMU: it has a connection with the daemon of its own, opens
 * its disks past the page cache with QEMU's lock on byte 101 of each, and writes to all of them 100 times a second.
 *
 *   qemu-writer uring|plain
 *
 * With "uring" the kernel does the writes for it, up to 16 of each disk at a time; with "plain" it waits for each.
 * Commands, one per line on standard input, each answered by one line:
 *
 *   connect PATH     "ok": a connection with the daemon
 *   call HEX         "reply HEX": a message of the lock protocol, and the daemon's answer
 *   open PATH        "ok": a disk
 *   write HOLDER     "ok": from now on it writes, each block with the holder and a number of its own
 *   stop             "ok": it does not write any more, and all that it has written has landed
 *
 * A call of the kernel that fails ends it with what failed. So does the end of standard input.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define DISKS 8
#define DEPTH 16
#define INTERVAL_NS 10000000
#define GUARD 101
#define LINE (1 << 17)

static int uses_uring;
static int daemon_socket = -1;
static int disks[DISKS];
static int count;
static uint64_t holder;
static uint64_t number;
static int writing;

/* Of each disk: its blocks, and which of them the kernel still has. */
static char *blocks[DISKS][DEPTH];
static int busy[DISKS][DEPTH];
static int under_way;

static int ring;
static struct io_uring_params params;
static char *submissions, *completions;
static struct io_uring_sqe *entries;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void *mapped(size_t length, off_t offset)
{
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
}

static void set_up(void)
{
    ring = syscall(SYS_io_uring_setup, DISKS * DEPTH, &params);
    if (ring < 0)
        fail("io_uring_setup");
    submissions = mapped(params.sq_off.array + params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
    completions = mapped(params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    entries = mapped(params.sq_entries * sizeof *entries, IORING_OFF_SQES);
}

static void fill(char *block)
{
    uint64_t words[2] = {holder, ++number};
    memcpy(block, "nemesis", 8);
    memcpy(block + 8, words, sizeof words);
}

static void submit(int disk, int slot)
{
    uint32_t *tail = (uint32_t *)(submissions + params.sq_off.tail);
    uint32_t mask = *(uint32_t *)(submissions + params.sq_off.ring_mask);
    uint32_t at = *tail & mask;
    fill(blocks[disk][slot]);
    entries[at] = (struct io_uring_sqe){
        .opcode = IORING_OP_WRITE,
        .fd = disks[disk],
        .addr = (uintptr_t)blocks[disk][slot],
        .len = BLOCK,
        .off = (uint64_t)(slot + 1) * 2 * BLOCK,
        .user_data = disk * DEPTH + slot,
    };
    ((uint32_t *)(submissions + params.sq_off.array))[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) != 1)
        fail("io_uring_enter");
    busy[disk][slot] = 1;
    under_way++;
}

static void reap(void)
{
    uint32_t *head = (uint32_t *)(completions + params.cq_off.head);
    uint32_t *tail = (uint32_t *)(completions + params.cq_off.tail);
    uint32_t mask = *(uint32_t *)(completions + params.cq_off.ring_mask);
    struct io_uring_cqe *done = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
    while (*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
        struct io_uring_cqe *one = &done[*head & mask];
        if (one->res != BLOCK) {
            errno = one->res < 0 ? -one->res : EIO;
            fail("write by io_uring");
        }
        busy[one->user_data / DEPTH][one->user_data % DEPTH] = 0;
        under_way--;
        __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    }
}

static void write_all(void)
{
    int disk, slot;
    for (disk = 0; disk < count; disk++) {
        if (!uses_uring) {
            fill(blocks[disk][0]);
            if (pwrite(disks[disk], blocks[disk][0], BLOCK, 2 * BLOCK) != BLOCK)
                fail("pwrite");
            continue;
        }
        for (slot = 0; slot < DEPTH && busy[disk][slot]; slot++)
            ;
        if (slot < DEPTH)
            submit(disk, slot);
    }
}

static void open_disk(const char *path)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = GUARD, .l_len = 1};
    int slot, fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (count == DISKS || fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
        fail(path);
    for (slot = 0; slot < DEPTH; slot++) {
        if (posix_memalign((void **)&blocks[count][slot], BLOCK, BLOCK) != 0)
            abort();
        memset(blocks[count][slot], 0, BLOCK);
    }
    disks[count++] = fd;
}

static void connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    daemon_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (daemon_socket < 0 || connect(daemon_socket, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
}

/* Messages begin with their length, as a big-endian number of four bytes. */
static void call(const char *hex)
{
    static unsigned char bytes[LINE / 2];
    size_t length = strlen(hex) / 2, at;
    unsigned int byte, whole = 4;
    for (at = 0; at < length; at++) {
        sscanf(hex + 2 * at, "%2x", &byte);
        bytes[at] = byte;
    }
    if (send(daemon_socket, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("send");
    for (at = 0; at < whole;) {
        ssize_t got = recv(daemon_socket, bytes + at, (at < 4 ? 4 : whole) - at, 0);
        if (got <= 0)
            fail("receive");
        at += got;
        if (at == 4)
            whole = (unsigned)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
        if (whole > sizeof bytes)
            abort();
    }
    fputs("reply ", stdout);
    for (at = 0; at < whole; at++)
        printf("%02x", bytes[at]);
}

static void command(char *line)
{
    char *rest = strchr(line, ' ');
    if (rest != NULL)
        *rest++ = '\0';
    if (!strcmp(line, "connect"))
        connect_to(rest);
    else if (!strcmp(line, "open"))
        open_disk(rest);
    else if (!strcmp(line, "write")) {
        holder = strtoull(rest, NULL, 10);
        writing = 1;
    } else if (!strcmp(line, "stop")) {
        writing = 0;
        while (under_way > 0) {
            if (syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
                fail("io_uring_enter");
            reap();
        }
    }
    if (!strcmp(line, "call"))
        call(rest);
    else
        fputs("ok", stdout);
    putchar('\n');
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[LINE];
    size_t filled = 0;
    struct timespec due;
    if (argc != 2)
        return 2;
    uses_uring = !strcmp(argv[1], "uring");
    if (uses_uring)
        set_up();
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (;;) {
        struct pollfd input = {.fd = 0, .events = POLLIN};
        struct timespec now;
        long wait;
        clock_gettime(CLOCK_MONOTONIC, &now);
        wait = (due.tv_sec - now.tv_sec) * 1000000000L + due.tv_nsec - now.tv_nsec;
        if (wait <= 0) {
            if (uses_uring)
                reap();
            if (writing)
                write_all();
            /* Of a writer that is slower than that a command is heard too. */
            clock_gettime(CLOCK_MONOTONIC, &due);
            due.tv_nsec += INTERVAL_NS;
            if (due.tv_nsec >= 1000000000L) {
                due.tv_sec++;
                due.tv_nsec -= 1000000000L;
            }
            continue;
        }
        if (poll(&input, 1, writing || under_way > 0 ? wait / 1000000 + 1 : -1) <= 0)
            continue;
        ssize_t got = read(0, line + filled, sizeof line - 1 - filled);
        if (got <= 0)
            return 0;
        filled += got;
        line[filled] = '\0';
        for (char *end; (end = strchr(line, '\n')) != NULL;) {
            *end = '\0';
            command(line);
            filled -= end + 1 - line;
            memmove(line, end + 1, filled + 1);
        }
    }
}
