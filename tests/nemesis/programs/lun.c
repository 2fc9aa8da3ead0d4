/*
 * A storage witness: disks that many hosts write to, and that see whose writes arrive in which order.
 *
 *   lun MOUNTPOINT COUNT BYTES
 *
 * A FUSE file system with the files disk0, disk1, ... of so many bytes each, which are kept in memory. Requests are
 * served one after the other: the order in which the kernel delivers them is the order of the writes.
 *
 * A block of 4,096 bytes that begins with the eight bytes "nemesis" and 0 names its writer: a holder, and the number of
 * the write, both 64 bits of this machine's order. Whose block comes first takes the disk over from whoever had it.
 * From then on nobody who had it before may write: that is a violation. Lines on standard output:
 *
 *   mounted
 *   turn DISK HOLDER                           a holder's first write
 *   violation DISK OLDER NEWER NUMBER          a write of an older holder behind one of a newer one
 *   blocks COUNT                               blocks with a writer so far, the answer to a line on standard input
 *
 * The end of standard input unmounts and ends.
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <errno.h>
#include <fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096
#define DISKS 64

struct disk {
    char *bytes;
    /* Everybody who has had it, the newest last. */
    uint64_t *holders;
    size_t count;
    size_t room;
};

static struct disk disks[DISKS];
static int count;
static size_t size;
static unsigned long blocks;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int number_of(const char *path)
{
    int number;
    char rest;
    if (sscanf(path, "/disk%d%c", &number, &rest) != 1 || number < 0 || number >= count)
        return -ENOENT;
    return number;
}

static void arrived(int number, uint64_t holder, uint64_t write)
{
    struct disk *disk = &disks[number];
    size_t at;
    blocks++;
    if (disk->count > 0 && disk->holders[disk->count - 1] == holder)
        return;
    for (at = 0; at < disk->count; at++)
        if (disk->holders[at] == holder) {
            printf("violation %d %lu %lu %lu\n", number, holder, disk->holders[disk->count - 1], write);
            fflush(stdout);
            return;
        }
    if (disk->count == disk->room) {
        disk->room = disk->room == 0 ? 64 : disk->room * 2;
        disk->holders = realloc(disk->holders, disk->room * sizeof *disk->holders);
        if (disk->holders == NULL)
            abort();
    }
    disk->holders[disk->count++] = holder;
    printf("turn %d %lu\n", number, holder);
    fflush(stdout);
}

static int fs_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    (void)info;
    memset(status, 0, sizeof *status);
    if (!strcmp(path, "/")) {
        status->st_mode = S_IFDIR | 0755;
        status->st_nlink = 2;
        return 0;
    }
    if (number_of(path) < 0)
        return -ENOENT;
    status->st_mode = S_IFREG | 0600;
    status->st_nlink = 1;
    status->st_size = size;
    return 0;
}

static int fs_open(const char *path, struct fuse_file_info *info)
{
    int number = number_of(path);
    if (number < 0)
        return number;
    info->fh = number;
    return 0;
}

static int fs_read(const char *path, char *bytes, size_t length, off_t offset, struct fuse_file_info *info)
{
    (void)path;
    if ((size_t)offset >= size)
        return 0;
    if (length > size - offset)
        length = size - offset;
    memcpy(bytes, disks[info->fh].bytes + offset, length);
    return length;
}

static int fs_write(const char *path, const char *bytes, size_t length, off_t offset, struct fuse_file_info *info)
{
    size_t at;
    (void)path;
    if ((size_t)offset + length > size)
        return -ENOSPC;
    memcpy(disks[info->fh].bytes + offset, bytes, length);
    pthread_mutex_lock(&mutex);
    for (at = (BLOCK - offset % BLOCK) % BLOCK; at + BLOCK <= length; at += BLOCK) {
        uint64_t words[3];
        memcpy(words, bytes + at, sizeof words);
        if (!memcmp(words, "nemesis", 8))
            arrived(info->fh, words[1], words[2]);
    }
    pthread_mutex_unlock(&mutex);
    return length;
}

static int fs_fsync(const char *path, int data, struct fuse_file_info *info)
{
    (void)path;
    (void)data;
    (void)info;
    return 0;
}

static struct fuse_operations operations = {
    .getattr = fs_getattr,
    .open = fs_open,
    .read = fs_read,
    .write = fs_write,
    .fsync = fs_fsync,
};

static void *control(void *mountpoint)
{
    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        pthread_mutex_lock(&mutex);
        printf("blocks %lu\n", blocks);
        fflush(stdout);
        pthread_mutex_unlock(&mutex);
    }
    exit(umount2(mountpoint, MNT_DETACH) < 0);
}

int main(int argc, char **argv)
{
    char *options[] = {argv[0], "-o", "fsname=lun,subtype=lun", NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, options);
    struct fuse *fuse;
    pthread_t thread;
    int number;

    if (argc != 4 || (count = atoi(argv[2])) < 1 || count > DISKS || (size = strtoul(argv[3], NULL, 10)) < BLOCK) {
        fprintf(stderr, "Usage: lun MOUNTPOINT COUNT BYTES\n");
        return 2;
    }
    for (number = 0; number < count; number++)
        if ((disks[number].bytes = calloc(1, size)) == NULL)
            return 1;
    fuse = fuse_new(&arguments, &operations, sizeof operations, NULL);
    if (fuse == NULL || fuse_mount(fuse, argv[1]) != 0)
        return 1;
    pthread_create(&thread, NULL, control, argv[1]);
    printf("mounted\n");
    fflush(stdout);
    return fuse_loop(fuse);
}
