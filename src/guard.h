/*
 * Guard pages: OS pages of a special pool that nobody may touch, between and in runs of pages that are open.
 *
 *   | guard | open  open | guard | open | guard  guard  guard |            still reserved            |
 *   '------------------ prepared, grows to the right -------'
 *
 *   kind        a touch is   mappings            from                how
 *   MADVISE     SIGSEGV      one                 Linux 6.13          markers in place of pages
 *   USERFAULT   SIGBUS       one                 Linux 5.11          absent pages are nobody's to fill in
 *   PROTECT     SIGSEGV      two more an open    ever                pages without access; refuses beyond a quarter
 *                            run                                     of what a process may have
 *
 * A system call that is handed a guard fails with EFAULT, and no signal tells of it, whatever the kind.
 *
 * W1  A prepared page that is not open is a guard; one that was just opened reads as zero.
 * W2  Prepared ranges, and the descriptor of USERFAULT they are registered with, change under the lock only.
 * W3  PROTECT: a run that is closed is mapped afresh, so that nothing tells it from its neighbours and all are one
 *     mapping again.  (Pages given back and protected stay a mapping of their own.)
 *
 * USERFAULT rests on a descriptor.  A program that closes it, with all it does not know, makes the guards absent pages
 * that read as zero; the next tp_guard_open notices and makes guards of those again that nobody has touched meanwhile.
 * While a forked child that has neither adopted nor exec'd holds the descriptor too, guards stay, and none can be
 * opened.
 *
 * Lock: TP_LOCK_GUARDS, in tp_guard_prepare, and where something has gone wrong.
 */
#ifndef TP_GUARD_H
#define TP_GUARD_H

#include "base.h"

enum tp_guard_kind { TP_GUARD_NONE, TP_GUARD_MADVISE, TP_GUARD_USERFAULT, TP_GUARD_PROTECT };

/*
 * Once, before all others.  TP_GUARD_NONE: the first kind in this order that the system has; else the kind wanted.  0,
 * or a negative errno that says what the system lacks.
 */
int tp_guard_init(enum tp_guard_kind wanted);

/* What was chosen; TP_GUARD_NONE before tp_guard_init. */
enum tp_guard_kind tp_guard_kind(void);

/*
 * Make guards of reserved space: of tp_os_reserve, and nothing done to it since.  The caller holds a lock of its own
 * and goes upwards, each time from where it came to; a few other reservations may follow.  0 or a negative errno, and
 * then the space is inaccessible as it was.
 */
int tp_guard_prepare(void *addr, size_t size);

/*
 * Open a run of guards: readable and writable, and zero.  0 or a negative errno, and then they are guards still;
 * -ENOMEM: no memory, or no mappings.  Threads may open and close different runs at the same time.
 */
int tp_guard_open(void *addr, size_t size);

/*
 * Make guards of a run again, as it was opened and not a part of it.  Its memory goes back to the system.  0 or a
 * negative errno, and then it is open still, whatever is in it.
 */
int tp_guard_close(void *addr, size_t size);

/*
 * In a forked child, before it opens anything and while it has one thread.  What was open is; what were guards are
 * again, and what they held if it touched them before is gone when they are opened.  0 or a negative errno, and then
 * guards of USERFAULT read as zero, until tp_guard_open succeeds.
 */
int tp_guard_adopt(void);

#endif
