/*
 * The inquest: leaks of this process, looked for by a twin (os.h) that has its memory as it was at one moment.
 *
 * Nobody is stopped, asked or signalled: other threads go on, while the twin reads what it has of them.  So it needs no
 * right to trace, and no program finds a call of its own interrupted in its last moments.  The price is that their
 * registers are not to be had, but for the arguments of the system calls that they wait in, as the system tells them:
 * a block whose only pointer is in another register counts as lost, if it is so in two looks (leak.h).
 *
 * The twin's memory is the process's, copied where the program goes on writing.  It is on its own: it takes no lock,
 * for who held it is not there, and calls nothing that would.
 */
#ifndef TP_INQUEST_H
#define TP_INQUEST_H

#include "leak.h"

/*
 * Look for leaks of the slots that have something in `slots` (NULL: all).  The result, until it is given back; or NULL
 * with a negative errno in *error: there was no twin, or it found no way.
 *
 * `stack`: what lies above it, and not below, is the program's part of the calling thread's stack.  The registers that
 * a call leaves as they are were put there as well (__builtin_unwind_init in that frame).
 */
const struct tp_leak_result *tp_inquest_hold(const uint16_t *slots, uintptr_t stack, int *error);
void tp_inquest_release(const struct tp_leak_result *result);

/* The same, told: in records, or where nobody listens on stderr in a line; and counted. */
void tp_inquest_tell(const uint16_t *slots, uintptr_t stack, struct tagpool_report_counters *counters);

#endif
