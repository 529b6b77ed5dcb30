/*
 * A ring of io_uring with registered buffers, through liburing, which is loaded when the first ring is opened.
 *
 * R1  A request has no more pieces than the ring has places.
 *
 * A ring has one user at a time, and nothing is in flight between two calls.  It lies in memory that a forked child
 * finds zeroed: the child must not use its parent's ring.
 */
#ifndef TP_URING_H
#define TP_URING_H

#include "transfer.h"

#include <liburing.h>

struct tp_uring {
    struct io_uring ring;
};

/* With as many places as there are buffers.  0 or a negative errno: -ELIBACC without liburing.so.2. */
int tp_uring_open(struct tp_uring *uring, const struct iovec *buffers, unsigned count);
void tp_uring_close(struct tp_uring *uring);

/*
 * Submit what is left of each piece, and wait for all of it.  A piece may be left with a rest: it was short, or has to
 * be asked for again.  0, or a negative errno: the ring is not usable any more, and nothing is in flight.
 */
int tp_uring_run(struct tp_uring *uring, struct tp_request *request);

#endif
