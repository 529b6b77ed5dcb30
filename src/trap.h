/*
 * Traps: the signals that a touched guard page raises, SIGSEGV or SIGBUS.
 *
 * Ours is the first handler.  What the program sets for these signals is kept here, and called for what is none of our
 * business, with the mask and on the stack that it asked for; where it set none, the signal takes its course, with a
 * core dump that shows the place.
 */
#ifndef TP_TRAP_H
#define TP_TRAP_H

#include "base.h"

#include <signal.h>

/* What stands above is told before a signal takes its course, whatever sent it; or NULL. */
extern void (*tp_trap_unhandled)(int number, const siginfo_t *info, const void *context);

/* Once; what the program has set until then is kept. */
void tp_trap_install(void);

/* What the program sets for a signal of ours; false: it is none, or there are no traps. */
bool tp_trap_set_action(int number, const struct sigaction *action, struct sigaction *old);

#endif
