/*
 * Fork: the child goes on with the caller's pages, and with accounts of its own.
 *
 * F1  The parent's segment is never written by a child: private memory lies over it before anything is counted.
 * F2  Pages of threads that are not in the child are frozen: frees of their blocks are counted, their lists are never
 *     walked, for they may be half written.
 * F3  A child's accounts start with what is live, as that many allocs and no frees.
 * F4  A child gets a segment of its own when it goes on working, and only while it has one thread.
 *
 * A child of fork() finds its locks released by the handlers; one of _Fork() or a raw clone finds a gate of zeros and
 * resets them.  A child of vfork() shares the parent's memory and its gate, and counts for it.
 */
#ifndef TP_FORK_H
#define TP_FORK_H

#include "base.h"

/* Register the handlers.  Once, when the program is ready to. */
void tp_fork_init(void);

/*
 * Whether the calling process is the one whose memory this is: not a child of vfork, nor one of fork that has not made
 * a call yet.  The other says that it is, from now on.
 */
bool tp_fork_is_home(void);
void tp_fork_note_home(void);

/* The first call of a new address space.  Other threads of the child that come meanwhile wait (thread.c). */
void tp_fork_adopt(void);

/* A slow call was made: a child that has made enough of them gets its segment. */
void tp_fork_note_slow_call(void);

/* The child is about to start a second thread: now or never (F4). */
void tp_fork_before_thread(void);

#endif
