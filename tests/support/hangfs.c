/*
 * A FUSE file system for tests: shows a directory, and stops answering on command.
 *
 *   hangfs BACKING MOUNTPOINT [locks|kernel [USER]]
 *
 * Commands, one per line on standard input, each answered by the line "ok":
 *   hang all | hang unlink,flush   these operations wait from now on
 *   go                             all operations go on, also those that wait
 *   slow 1048576                   so many bytes are written in a second at most; 0: as fast as can be
 * The line "hung NAME" says that an operation has begun to wait. "mounted" is the first line.
 * The end of standard input unmounts and ends. Locks are the kernel's own, unless "locks" is given: then the file
 * system keeps them itself, as some real ones do. It gives a process's locks up when that closes the file, which the
 * kernel asks for, and a description's only when it is unlocked: nothing tells the server that it has gone. The kernel
 * names a description by where it lies in memory, and the next one may lie in the same place: so that this does not
 * decide what a test sees, another open of another process is another owner here, whatever the kernel calls it.
 *
 * With a USER, by number, it is mounted as that user would do it without allow_other, who is the only one it serves.
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *backing;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char hanging[256];
/* Bytes that are written in a second; 0: no limit. */
static volatile unsigned long rate;

static void say(const char *word, const char *rest)
{
    printf("%s%s%s\n", word, *rest ? " " : "", rest);
    fflush(stdout);
}

/* Whether an operation is to hang; the mutex is held. */
static int hangs(const char *operation)
{
    char names[sizeof hanging];
    char *rest = names;
    char *name;
    strcpy(names, hanging);
    while ((name = strsep(&rest, ",")) != NULL)
        if (!strcmp(name, "all") || !strcmp(name, operation))
            return 1;
    return 0;
}

static void gate(const char *operation)
{
    pthread_mutex_lock(&mutex);
    if (hangs(operation)) {
        say("hung", operation);
        while (hangs(operation))
            pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

/* Every open has a number of its own; by the descriptor of the file that was opened for it. */
static unsigned long opens[4096];
static unsigned long last_open;

static const char *real(const char *path, char *into)
{
    snprintf(into, PATH_MAX, "%s%s", backing, path);
    return into;
}

static int outcome(int result)
{
    return result < 0 ? -errno : 0;
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->hard_remove = 1;
    config->entry_timeout = 0;
    config->attr_timeout = 0;
    config->negative_timeout = 0;
    return NULL;
}

static int fs_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    char name[PATH_MAX];
    gate("getattr");
    return outcome(info ? fstat(info->fh, status) : lstat(real(path, name), status));
}

static int fs_readlink(const char *path, char *target, size_t size)
{
    char name[PATH_MAX];
    ssize_t length;
    gate("readlink");
    length = readlink(real(path, name), target, size - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return 0;
}

static int fs_mkdir(const char *path, mode_t mode)
{
    char name[PATH_MAX];
    gate("mkdir");
    return outcome(mkdir(real(path, name), mode));
}

static int fs_unlink(const char *path)
{
    char name[PATH_MAX];
    gate("unlink");
    return outcome(unlink(real(path, name)));
}

static int fs_rmdir(const char *path)
{
    char name[PATH_MAX];
    gate("rmdir");
    return outcome(rmdir(real(path, name)));
}

static int fs_rename(const char *from, const char *to, unsigned int flags)
{
    char old[PATH_MAX];
    char new[PATH_MAX];
    gate("rename");
    return outcome(renameat2(AT_FDCWD, real(from, old), AT_FDCWD, real(to, new), flags));
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    char name[PATH_MAX];
    gate("chmod");
    return outcome(info ? fchmod(info->fh, mode) : chmod(real(path, name), mode));
}

static int fs_setxattr(const char *path, const char *key, const char *value, size_t size, int flags)
{
    char name[PATH_MAX];
    gate("setxattr");
    return outcome(lsetxattr(real(path, name), key, value, size, flags));
}

static int fs_getxattr(const char *path, const char *key, char *value, size_t size)
{
    char name[PATH_MAX];
    ssize_t length;
    gate("getxattr");
    length = lgetxattr(real(path, name), key, value, size);
    return length < 0 ? -errno : (int)length;
}

static int fs_removexattr(const char *path, const char *key)
{
    char name[PATH_MAX];
    gate("removexattr");
    return outcome(lremovexattr(real(path, name), key));
}

static int opened(const char *path, int flags, mode_t mode, struct fuse_file_info *info)
{
    char name[PATH_MAX];
    int fd = open(real(path, name), flags & ~O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    if (fd >= (int)(sizeof opens / sizeof *opens)) {
        close(fd);
        return -ENFILE;
    }
    pthread_mutex_lock(&mutex);
    opens[fd] = ++last_open;
    pthread_mutex_unlock(&mutex);
    info->fh = fd;
    info->direct_io = 1;
    return 0;
}

static int fs_open(const char *path, struct fuse_file_info *info)
{
    gate("open");
    return opened(path, info->flags, 0, info);
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    gate("create");
    return opened(path, info->flags | O_CREAT, mode, info);
}

static int fs_read(const char *path, char *bytes, size_t size, off_t offset, struct fuse_file_info *info)
{
    ssize_t length;
    (void)path;
    gate("read");
    length = pread(info->fh, bytes, size, offset);
    return length < 0 ? -errno : length;
}

static int fs_write(const char *path, const char *bytes, size_t size, off_t offset, struct fuse_file_info *info)
{
    ssize_t length;
    (void)path;
    gate("write");
    if (rate)
        usleep(size * 1000000UL / rate);
    length = pwrite(info->fh, bytes, size, offset);
    return length < 0 ? -errno : length;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    char name[PATH_MAX];
    gate("truncate");
    return outcome(info ? ftruncate(info->fh, size) : truncate(real(path, name), size));
}

static int fs_fsync(const char *path, int data, struct fuse_file_info *info)
{
    (void)path;
    (void)data;
    gate("fsync");
    return outcome(fsync(info->fh));
}

/* Sent at every close(2) of every copy of a descriptor, and waited for: what makes even closing dangerous. */
static int fs_flush(const char *path, struct fuse_file_info *info)
{
    (void)path;
    (void)info;
    gate("flush");
    return 0;
}

/* A lock that this file system keeps. */
struct held {
    struct held *next;
    ino_t inode;
    uint64_t owner;
    unsigned long open;
    off_t start;
    short type;
    pid_t pid;
};
static struct held *locks;

/* Whether somebody is the owner of a lock: by the same open, or as the process that has the lock. */
static int owns(const struct held *held, const struct fuse_file_info *info, const struct flock *lock)
{
    return held->owner == info->lock_owner && (held->open == opens[info->fh] || held->pid == lock->l_pid);
}

static int same(const struct held *held, ino_t inode, const struct fuse_file_info *info, const struct flock *lock)
{
    /* The kernel gives up everything that a process has when it closes the file: from 0 to the end. */
    return held->inode == inode && owns(held, info, lock) && (lock->l_len == 0 || held->start == lock->l_start);
}

static int fs_lock(const char *path, struct fuse_file_info *info, int command, struct flock *lock)
{
    struct stat status;
    struct held **place;
    struct held *held;
    (void)path;
    gate("lock");
    if (fstat(info->fh, &status) < 0)
        return -errno;
    pthread_mutex_lock(&mutex);
    for (held = locks; lock->l_type != F_UNLCK && held != NULL; held = held->next) {
        if (held->inode != status.st_ino || owns(held, info, lock) || held->start != lock->l_start)
            continue;
        if (held->type == F_RDLCK && lock->l_type == F_RDLCK)
            continue;
        if (command == F_GETLK) {
            lock->l_type = held->type;
            lock->l_pid = held->pid;
        }
        pthread_mutex_unlock(&mutex);
        return command == F_GETLK ? 0 : -EAGAIN;
    }
    if (command == F_GETLK) {
        lock->l_type = F_UNLCK;
        pthread_mutex_unlock(&mutex);
        return 0;
    }
    for (place = &locks; *place != NULL;) {
        held = *place;
        if (same(held, status.st_ino, info, lock)) {
            *place = held->next;
            free(held);
        } else {
            place = &held->next;
        }
    }
    if (lock->l_type != F_UNLCK) {
        held = malloc(sizeof *held);
        *held = (struct held){
            locks, status.st_ino, info->lock_owner, opens[info->fh], lock->l_start, lock->l_type, lock->l_pid,
        };
        locks = held;
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

static int fs_release(const char *path, struct fuse_file_info *info)
{
    (void)path;
    gate("release");
    return outcome(close(info->fh));
}

static int fs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    char name[PATH_MAX];
    struct dirent *entry;
    DIR *directory;
    (void)offset;
    (void)info;
    (void)flags;
    gate("readdir");
    directory = opendir(real(path, name));
    if (directory == NULL)
        return -errno;
    while ((entry = readdir(directory)) != NULL)
        fill(buffer, entry->d_name, NULL, 0, 0);
    closedir(directory);
    return 0;
}

static struct fuse_operations operations = {
    .init = fs_init,
    .getattr = fs_getattr,
    .readlink = fs_readlink,
    .mkdir = fs_mkdir,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .chmod = fs_chmod,
    .setxattr = fs_setxattr,
    .getxattr = fs_getxattr,
    .removexattr = fs_removexattr,
    .open = fs_open,
    .create = fs_create,
    .read = fs_read,
    .write = fs_write,
    .truncate = fs_truncate,
    .fsync = fs_fsync,
    .flush = fs_flush,
    .release = fs_release,
    .readdir = fs_readdir,
};

static void set_hanging(const char *names)
{
    pthread_mutex_lock(&mutex);
    snprintf(hanging, sizeof hanging, "%s", names);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void *control(void *mountpoint)
{
    char line[300];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(line, "slow ", 5))
            rate = strtoul(line + 5, NULL, 10);
        else
            set_hanging(strncmp(line, "hang ", 5) ? "" : line + 5);
        say("ok", "");
    }
    set_hanging("");
    /* Those who still have a file open are not waited for: with this process their requests end too. */
    exit(umount2(mountpoint, MNT_DETACH) < 0);
}

/* Mounts for a user, and becomes that user. Returns a name for the connection that libfuse takes for a mount point. */
static const char *mount_for(uid_t user, const char *mountpoint)
{
    static char name[32];
    char options[128];
    int fd = open("/dev/fuse", O_RDWR);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, user, user);
    if (fd < 0 || mount("hangfs", mountpoint, "fuse.hangfs", MS_NOSUID | MS_NODEV, options) < 0)
        return NULL;
    if (setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0)
        return NULL;
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    return name;
}

int main(int argc, char **argv)
{
    const char *point;
    char *options[] = {argv[0], "-o", "fsname=hangfs,subtype=hangfs", NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, options);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    struct fuse *fuse;
    pthread_t thread;

    if (argc < 3 || argc > 5 || (argc > 3 && strcmp(argv[3], "locks") && strcmp(argv[3], "kernel"))) {
        fprintf(stderr, "Usage: hangfs BACKING MOUNTPOINT [locks|kernel [USER]]\n");
        return 2;
    }
    if (argc > 3 && !strcmp(argv[3], "locks"))
        operations.lock = fs_lock;
    backing = argv[1];
    umask(0);
    point = argc < 5 ? argv[2] : mount_for(atoi(argv[4]), argv[2]);
    fuse = fuse_new(&arguments, &operations, sizeof operations, NULL);
    if (point == NULL || fuse == NULL || fuse_mount(fuse, point) != 0)
        return 1;
    pthread_create(&thread, NULL, control, argv[2]);
    say("mounted", "");
    fuse_loop_cfg_set_max_threads(config, 64);
    return fuse_loop_mt(fuse, config);
}
