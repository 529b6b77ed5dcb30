/*
 * Mail: blocks freed by a thread that does not own their page travel to the owner on a lock-free stack.
 *
 *   freeing thread    blocks of one page -> parcel;  closed parcels for one owner -> bag
 *   send a bag        one atomic operation on owner->mail
 *   owner             takes all mail, and each parcel goes to its page as a whole
 *
 *   first block of a parcel   | next parcel | second block and count |
 *   second block              | next block  | last block             |
 *
 * M1  Who pushes looks at the record's state afterwards; who ends a record empties its mail afterwards.  So a block
 *     is never left with a thread that is gone.  (tests/model/mail.pml)
 * M2  Mail goes to whom the page names when it is opened: a record may have changed hands, so may the page.
 * M3  What waits at a thread is bounded by TP_PARCELS parcels and TP_MAIL_BYTES bytes.  Blocks of TP_MAIL_LARGE and
 *     more count four times: few are enough for one send, and their memory is missed elsewhere.
 */
#ifndef TP_MAIL_H
#define TP_MAIL_H

#include "thread.h"

#define TP_PARCEL_BLOCKS 64u

/* The first two words of a block in a parcel that travels; every block has room for them. */
struct tp_sealed {
    struct tp_block *next;
    uint64_t more;
};
#define TP_PARCEL_COUNT_SHIFT 48
#define TP_PARCEL_POINTER_MASK ((UINT64_C(1) << TP_PARCEL_COUNT_SHIFT) - 1)

#define TP_MAIL_BYTES (64 * TP_KIB)
#define TP_MAIL_LARGE TP_KIB

/* Give a block of another thread's page back, in time. */
void tp_mail_send(struct tp_thread *thread, struct tp_page *page, void *block);

/* Give one block back at once: for callers without a record. */
void tp_mail_deliver(struct tp_page *page, void *block);

/* Send what waits. */
void tp_mail_flush(struct tp_thread *thread);

/* Put back all blocks that came for this thread; with its own hands, so no other thread may be using it. */
void tp_mail_collect(struct tp_thread *thread);

/* In a forked child: what another thread had waiting is lost. */
void tp_mail_forget(struct tp_thread *thread);

#endif
