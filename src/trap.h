/*
 * Traps: the signals that a touched guard page raises, SIGSEGV or SIGBUS.
 *
 *   touch of a guard ------------>  a stop
 *   any other fault, or a signal  ->  what the program set: its handler, or nothing, or the signal's own course
 *   that somebody sent
 *
 * Ours is the first handler.  What the program sets for these signals is kept here, and called for what is none of our
 * business, with the mask and on the stack that it asked for; where it set none, the signal takes its course, with a
 * core dump that shows the place.
 *
 * T1  The system calls ours, in the way that the action kept asks for, from tp_trap_install on.
 * T2  Copy version % 2 of an action is the one that holds; the other one is written, then the version.
 * T3  An action is written by one thread of the process that has the traps, with all signals held back.  A child of
 *     vfork shares our memory and has actions of its own, with the system alone.
 *
 * No lock of the engine is taken: what faults may hold any of them.
 */
#ifndef TP_TRAP_H
#define TP_TRAP_H

#include "base.h"

#include <signal.h>

/* What stands above is told before a signal takes its course, whatever sent it; or NULL. */
extern void (*tp_trap_unhandled)(int number, const siginfo_t *info, const void *context);

/* Once; what the program has set until then is kept. */
void tp_trap_install(void);

/* Traps are on, and the signal is one of theirs. */
bool tp_trap_has(int number);

/*
 * As sigaction, for a signal of ours: what the program sets, and what it had set (NULL: not asked for); false: it is
 * none, or there are no traps.
 */
bool tp_trap_set_action(int number, const struct sigaction *action, struct sigaction *old);

/*
 * Before another program takes the place of this one, or of a child: what is ignored, it inherits so, and it does not
 * inherit what we know.  After that, where this one goes on.
 */
void tp_trap_begin_exec(void);
void tp_trap_end_exec(void);

/* In a child of fork: the traps are its own from now on. */
void tp_trap_adopt(void);

#endif
