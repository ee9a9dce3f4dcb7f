/* Preloaded into a program: moves its wall clock by as many seconds as the file $CLOCK_OFFSET holds, as that file changes. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("CLOCK_OFFSET");
    if (status != 0 || clock != CLOCK_REALTIME || path == NULL) {
        return status;
    }
    FILE *file = fopen(path, "r");
    long seconds = 0;
    if (file != NULL) {
        if (fscanf(file, "%ld", &seconds) == 1) {
            now->tv_sec += seconds;
        }
        fclose(file);
    }
    return 0;
}
