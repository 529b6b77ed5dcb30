/*
 * Live blocks: what there is to know of one by its address, and its way to another size.
 */
#ifndef TP_BLOCK_H
#define TP_BLOCK_H

#include "alloc.h"

/* What there is to know of a live block, never NULL; stops where no block is, as far as its place tells. */
struct tp_block_info {
    struct tp_page *page; /* NULL: in special pool */
    size_t size;          /* of checked and hardened blocks, as requested */
    uint32_t slot;
    uint32_t index;   /* within a page of blocks */
    uint32_t account; /* quota account it is charged to, or TP_ACCOUNT_NONE */
};
struct tp_block_info tp_block_look_up(const void *block);

/* Bytes that the block counts for. */
size_t tp_block_bytes(const struct tp_block_info *info);

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
