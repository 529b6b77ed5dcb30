/*
 * Mail: blocks freed by a thread that does not own their page travel to the owner on a lock-free stack.
 *
 *   freeing thread: parcel -> push on owner->mail (one atomic operation a parcel)     owner: takes all, puts each back
 *
 * M1  Who pushes looks at the record's state afterwards; who ends a record empties its mail afterwards.  So a block
 *     is never left with a thread that is gone.  (tests/model/mail.pml)
 * M2  Mail goes to whom the page names when it is opened: a record may have changed hands, so may the page.
 * M3  A parcel holds at most TP_PARCEL_BLOCKS blocks and TP_PARCEL_BYTES bytes, all for one owner.
 */
#ifndef TP_MAIL_H
#define TP_MAIL_H

#include "thread.h"

#define TP_PARCEL_BLOCKS 32u
#define TP_PARCEL_BYTES (16 * TP_KIB)

/* Give a block of another thread's page back; `thread` may be NULL (none of its own): sent at once. */
void tp_mail_send(struct tp_thread *thread, struct tp_page *page, void *block);

/* Send what waits. */
void tp_mail_flush(struct tp_thread *thread);

/* Put back all blocks that came for this thread; with its own hands, so no other thread may be using it. */
void tp_mail_collect(struct tp_thread *thread);

#endif
