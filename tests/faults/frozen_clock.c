/* Sets the monotonic clocks of a process back, as a virtual machine sees them that was paused and goes on: they stood still meanwhile.
 * The file FROZEN_CLOCKS/<pid> holds by how many nanoseconds. Preloaded into sentinels by tests/faults/frozen.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *behind;

__attribute__((constructor)) static void open_file(void) {
    const char *folder = getenv("FROZEN_CLOCKS");
    char path[4096];
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *behind) != 0) return;
    void *page = mmap(NULL, sizeof *behind, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) behind = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    int stands = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME;
    if (result == 0 && behind && stands) {
        int64_t left = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec - *behind;
        now->tv_sec = left / 1000000000;
        now->tv_nsec = left % 1000000000;
    }
    return result;
}
