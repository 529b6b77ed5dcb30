/*
 * One request: from a slot and a size to a block, and from a block back.  The slow halves of all faces; the fast ones
 * are in fast.h.
 */
#ifndef TP_ALLOC_H
#define TP_ALLOC_H

#include "limit.h"
#include "site.h"

#include <tagpool/report.h>

/* What is asked for besides a size. */
enum tp_alloc_flag {
    TP_ALLOC_ZERO = 1u << 0, /* all bytes up to the block's size */
};

struct tp_alloc_request {
    uint32_t slot;
    uint32_t flags;   /* enum tp_alloc_flag */
    uint32_t account; /* quota account to be charged, or TP_ACCOUNT_NONE */
    enum tp_priority priority;
    size_t size;
    size_t alignment;              /* a power of two, at least 16 */
    struct tp_call call;           /* who asks; zeros: the engine itself */
    enum tagpool_report_face face; /* by which function; 0: the engine itself */
};

/* A block as requested, counted; NULL with errno ENOMEM or EDQUOT.  `thread` may be NULL. */
void *tp_alloc_requested(struct tp_thread *thread, const struct tp_alloc_request *request);

/* The same where it is known already what the verifier does with it. */
struct tp_verify_plan;
void *tp_alloc_planned(struct tp_thread *thread, const struct tp_alloc_request *request, struct tp_verify_plan plan);

/*
 * A block for the engine's own purposes: at least `size` bytes for a slot, aligned to `alignment` (a power of two, at
 * least 16), counted.  NULL with errno ENOMEM when memory is exhausted.  `thread` may be NULL.
 */
void *tp_alloc(struct tp_thread *thread, uint32_t slot, size_t size, size_t alignment);

/*
 * A block for a caller whom the gate's table knows, after the fast path found none on the current page: the slow path
 * less the questions that are answered.  NULL: ask them (tp_alloc).
 */
void *tp_alloc_known(uint64_t key, size_t size);

/*
 * As tp_alloc, for a nonpaged slot: whole OS pages, at a multiple of a huge page.  Their memory is that of huge pages
 * where the system has them (is_huge), so it is contiguous within each.
 */
void *tp_alloc_huge(uint32_t slot, size_t size, bool *is_huge);

/*
 * Free a block the fast path did not take, NULL included; by which function, what size it was told, and who called it.
 * Keeps errno.  Stops on what is not a live block.
 */
void tp_free_called(void *block, enum tagpool_report_face face, size_t size, struct tp_call call);

/* The same of the engine's own. */
void tp_free_slow(void *block);

/* What there is to know of a live block, never NULL; stops where no block is, as far as its place tells. */
struct tp_block_info {
    struct tp_page *page; /* NULL: in special pool */
    size_t size;          /* of checked blocks, as requested */
    uint32_t slot;
    uint32_t index;   /* within a page of blocks */
    uint32_t account; /* quota account it is charged to, or TP_ACCOUNT_NONE */
};
struct tp_block_info tp_block_look_up(const void *block);

/* As tp_block_look_up, and false where the other stops. */
bool tp_block_find(const void *block, struct tp_block_info *info);

/*
 * Make a live block at least `size` bytes long where it is; false when it must move.  Also when it should: the block
 * would be more than twice as long as needed.
 */
bool tp_block_resize(void *block, const struct tp_block_info *info, size_t size);

/* Another block, with the contents and the quota account of a live one, which is freed; NULL leaves that as it was. */
void *tp_block_move(struct tp_thread *thread, void *old, const struct tp_block_info *info,
                    const struct tp_alloc_request *request);

#endif
