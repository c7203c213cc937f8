// Puts the wall clock of a process back by an hour while the file of BATON_WALL_CLOCK is there.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  const char *mark = getenv("BATON_WALL_CLOCK");
  if (!failed && clock == CLOCK_REALTIME && mark && access(mark, F_OK) == 0) now->tv_sec -= 3600;
  return (int)failed;
}
