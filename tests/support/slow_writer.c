// A writer whose one write the kernel does for it: io_uring and O_DIRECT. Says "submitted", and waits to be killed.
//
// slow_writer FILE BYTES

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void *mapped(int ring, size_t size, off_t offset) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  size_t length = strtoul(arguments[2], NULL, 10);
  int file = open(arguments[1], O_RDWR | O_DIRECT | O_CLOEXEC);
  if (file < 0) fail("open");
  void *bytes;
  if (posix_memalign(&bytes, 4096, length) != 0) fail("posix_memalign");
  memset(bytes, 'x', length);

  struct io_uring_params params = {0};
  int ring = syscall(SYS_io_uring_setup, 1, &params);
  if (ring < 0) fail("io_uring_setup");
  char *queue = mapped(ring, params.sq_off.array + params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
  struct io_uring_sqe *entry = mapped(ring, params.sq_entries * sizeof *entry, IORING_OFF_SQES);
  *entry = (struct io_uring_sqe){
    .opcode = IORING_OP_WRITE, .fd = file, .addr = (uintptr_t)bytes, .len = (uint32_t)length};
  ((uint32_t *)(queue + params.sq_off.array))[0] = 0;
  __atomic_store_n((uint32_t *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) != 1) fail("io_uring_enter");
  puts("submitted");
  fflush(stdout);
  pause();
}
