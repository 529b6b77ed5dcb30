/*
 * Seals: what a hardened block carries, live or free, so that a change shows.
 *
 *   live   | contents, as requested | pattern, at most TP_SEAL_PATTERN bytes | zero ................ | seal, 8 bytes |
 *   free   | link | proof | zero ................................................................................ |
 *
 * The seal says how many bytes there are behind the contents, and which function made the block: a number below 2^21,
 * which is multiplied so that it fills 64 bits, and then one is added that depends on a secret and on where the block
 * lies.  A seal that was copied from elsewhere, or had a byte or two beside each other changed, reads as nonsense.
 *
 * The link of a block on its page's list is made unreadable by a secret; the proof follows from the link, so that none
 * of the two can be changed alone.
 *
 * What is written as one word is read as one word: most blocks are freed soon, when their words are still on the way to
 * the cache, and a processor waits for one that is put together of two.
 *
 * V1  Blocks are hardened from the first on, or none ever is.
 * V2  A block that is not live reads as zero, but for link and proof.
 */
#ifndef TP_SEAL_H
#define TP_SEAL_H

#include "base.h"

#include <string.h>

/* Bytes that a hardened block is longer than what was asked for, at least. */
#define TP_SEAL_BYTES 8u

/* Pattern behind the contents: so much, or as much as there is room for. */
#define TP_SEAL_PATTERN 32u

/* Bytes at the beginning of a free block that are looked at before it is given out. */
#define TP_SEAL_LOOKED ((size_t)256)

/* Blocks up to this, with so many bytes behind their contents, are done with in a few words. */
#define TP_SEAL_SHORT 128u
#define TP_SEAL_SHORT_SLOP (TP_SEAL_BYTES + 16)

#define TP_SEAL_SLOP_BITS 18
#define TP_SEAL_FACE_BITS 3

/* Odd, so that there is an inverse; and what differs in two bytes, or lies 16 MiB apart, is far from 2^21 then. */
#define TP_SEAL_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define TP_SEAL_INVERSE UINT64_C(0xf1de83e19937733d)
_Static_assert(TP_SEAL_FACTOR *TP_SEAL_INVERSE == 1, "inverse");

struct tp_seal_secrets {
    uint64_t pattern; /* one byte, eight times */
    uint64_t link;
    uint64_t proof;
    uint64_t seal;
    uint32_t on;
} __attribute__((aligned(TP_CACHE_LINE)));
extern TP_HIDDEN struct tp_seal_secrets tp_seal_secrets;

/* Before the first block: all blocks are hardened. */
void tp_seal_init(void);

TP_INLINE bool tp_seal_is_on(void)
{
    return tp_seal_secrets.on != 0;
}

/* What is added to a request. */
TP_INLINE size_t tp_seal_bytes(void)
{
    return tp_seal_is_on() ? TP_SEAL_BYTES : 0;
}

TP_INLINE uint64_t tp_seal_load(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

TP_INLINE void tp_seal_store(char *p, uint64_t word)
{
    memcpy(p, &word, sizeof(word));
}

/* --- pattern -------------------------------------------------------------------------------------------------- */

/* Bytes of pattern between contents and seal. */
TP_INLINE size_t tp_seal_pattern_bytes(size_t slop)
{
    return tp_min(slop - TP_SEAL_BYTES, TP_SEAL_PATTERN);
}

/* Any number of bytes. */
void tp_seal_draw_long(char *at, size_t bytes);
bool tp_seal_is_drawn_long(const char *at, size_t bytes);

/* The pattern's part of a word whose upper `bytes` (1 to 8) it fills. */
TP_INLINE uint64_t tp_seal_upper(size_t bytes)
{
    return tp_seal_secrets.pattern << (64 - 8 * bytes);
}

/* Up to 16 bytes that end at `end`, a multiple of 8, in a block that reads as zero. */
TP_INLINE void tp_seal_draw_short(char *end, size_t bytes)
{
    if (bytes == 0)
        return;
    tp_seal_store(end - 8, tp_seal_upper(tp_min(bytes, 8)));
    if (TP_UNLIKELY(bytes > 8))
        tp_seal_store(end - 16, tp_seal_upper(bytes - 8));
}

TP_INLINE bool tp_seal_is_upper_drawn(const char *word, size_t bytes)
{
    return (tp_seal_load(word) ^ tp_seal_secrets.pattern) >> (64 - 8 * bytes) == 0;
}

TP_INLINE bool tp_seal_is_drawn_short(const char *end, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (TP_LIKELY(bytes <= 8))
        return tp_seal_is_upper_drawn(end - 8, bytes);
    return tp_seal_is_upper_drawn(end - 8, 8) && tp_seal_is_upper_drawn(end - 16, bytes - 8);
}

/* The first byte that is not as drawn; the last one's successor where all are. */
const char *tp_seal_find_change(const char *at, size_t bytes);

/* --- the seal ------------------------------------------------------------------------------------------------- */

struct tp_seal {
    uint32_t slop; /* bytes behind the contents */
    uint32_t face; /* enum tagpool_report_face */
};

TP_INLINE uint64_t tp_seal_key_by(const struct tp_seal_secrets *secrets, uintptr_t block)
{
    return secrets->seal + ((uint64_t)block << 20);
}

TP_INLINE uint64_t tp_seal_key(const char *block)
{
    return tp_seal_key_by(&tp_seal_secrets, (uintptr_t)block);
}

TP_INLINE void tp_seal_write(char *block, size_t block_size, size_t slop, unsigned face)
{
    uint64_t says = slop | (uint64_t)face << TP_SEAL_SLOP_BITS;
    tp_seal_store(block + block_size - 8, says * TP_SEAL_FACTOR + tp_seal_key(block));
}

/* What a seal says: less than 2^21 if it is one. */
TP_INLINE uint64_t tp_seal_says(const char *block, size_t block_size)
{
    return (tp_seal_load(block + block_size - 8) - tp_seal_key(block)) * TP_SEAL_INVERSE;
}

/* How many bytes lie behind the contents, where the seal is one and names that face, and these are few; else 0. */
TP_INLINE uint32_t tp_seal_short_slop(const char *block, size_t block_size, unsigned face)
{
    uint64_t slop = tp_seal_says(block, block_size) - ((uint64_t)face << TP_SEAL_SLOP_BITS);
    return TP_LIKELY(slop - TP_SEAL_BYTES <= TP_SEAL_SHORT_SLOP - TP_SEAL_BYTES) ? (uint32_t)slop : 0;
}

/* A block lives, with so many bytes of contents. */
TP_INLINE void tp_seal_close_short(char *block, size_t block_size, size_t size, unsigned face)
{
    tp_seal_draw_short(block + block_size - 8, block_size - size - TP_SEAL_BYTES);
    tp_seal_write(block, block_size, block_size - size, face);
}

void tp_seal_close(char *block, size_t block_size, size_t size, unsigned face);

TP_INLINE bool tp_seal_parse(uint64_t says, size_t block_size, struct tp_seal *seal)
{
    seal->slop = says & ((UINT32_C(1) << TP_SEAL_SLOP_BITS) - 1);
    seal->face = (uint32_t)(says >> TP_SEAL_SLOP_BITS);
    return says >> (TP_SEAL_SLOP_BITS + TP_SEAL_FACE_BITS) == 0 &&
           seal->slop - TP_SEAL_BYTES <= block_size - TP_SEAL_BYTES;
}

/* False: this is no block's seal. */
TP_INLINE bool tp_seal_read(const char *block, size_t block_size, struct tp_seal *seal)
{
    return tp_seal_parse(tp_seal_says(block, block_size), block_size, seal);
}

/* The same of a word that was a block's seal in a process with these secrets. */
TP_INLINE bool tp_seal_decode(const struct tp_seal_secrets *secrets, uintptr_t block, uint64_t word, size_t block_size,
                              struct tp_seal *seal)
{
    return tp_seal_parse((word - tp_seal_key_by(secrets, block)) * TP_SEAL_INVERSE, block_size, seal);
}

TP_INLINE bool tp_seal_is_whole(const char *block, size_t block_size, uint32_t slop)
{
    return tp_seal_is_drawn_long(block + block_size - slop, tp_seal_pattern_bytes(slop));
}

/* A live block's end: it reads as zero (V2).  What lies between pattern and seal was never anything else. */
void tp_seal_wipe(char *block, size_t block_size, uint32_t slop);

TP_INLINE void tp_seal_wipe_short(char *block, size_t block_size)
{
    size_t last = block_size - 16, second = tp_min(last, 16);
    if (block_size > 64) {
        memset(block + 32, 0, 32);
        memset(block + block_size - 64, 0, 32);
    }
    memset(block, 0, 16);
    memset(block + second, 0, 16);
    memset(block + last - second, 0, 16);
    memset(block + last, 0, 16);
}

/* --- free blocks ---------------------------------------------------------------------------------------------- */

/* Of a process whose secrets these are. */
TP_INLINE uint64_t tp_seal_link_key_by(const struct tp_seal_secrets *secrets, uintptr_t block)
{
    return secrets->link + ((uint64_t)block << 17);
}

TP_INLINE uint64_t tp_seal_link_key(const char *block)
{
    return tp_seal_link_key_by(&tp_seal_secrets, (uintptr_t)block);
}

TP_INLINE void tp_seal_chain(char *block, const void *next)
{
    uint64_t link = (uintptr_t)next ^ tp_seal_link_key(block);
    tp_seal_store(block, link);
    tp_seal_store(block + 8, link + tp_seal_secrets.proof);
}

/* False: link or proof was changed. */
TP_INLINE bool tp_seal_next(const char *block, void **next)
{
    uint64_t link = tp_seal_load(block);
    *next = (void *)(uintptr_t)(link ^ tp_seal_link_key(block));
    return tp_seal_load(block + 8) == link + tp_seal_secrets.proof;
}

/* Sixteen bytes that begin at a multiple of that. */
typedef uint64_t tp_seal_pair __attribute__((vector_size(16), may_alias));

/* Of memory in multiples of 16. */
TP_INLINE bool tp_seal_reads_zero(const char *from, const char *to)
{
    tp_seal_pair first = {0, 0}, second = {0, 0};
    for (; from + 16 < to; from += 32) {
        first |= *(const tp_seal_pair *)(const void *)from;
        second |= *(const tp_seal_pair *)(const void *)(from + 16);
    }
    if (from < to)
        first |= *(const tp_seal_pair *)(const void *)from;
    first |= second;
    return (first[0] | first[1]) == 0;
}

/* The same of link and proof, which are written as words. */
TP_INLINE bool tp_seal_begins_zero(const char *block)
{
    return (tp_seal_load(block) | tp_seal_load(block + 8)) == 0;
}

/* The first byte that is not zero; `to` where all are. */
const char *tp_seal_find_nonzero(const char *from, const char *to);

/* As far as a free block is looked at, behind link and proof. */
bool tp_seal_is_blank(const char *block, size_t block_size);

TP_INLINE bool tp_seal_is_blank_short(const char *block, size_t block_size)
{
    if (TP_UNLIKELY(block_size > 64) && !tp_seal_reads_zero(block + 48, block + block_size))
        return false;
    /* Link and proof are zero by now, so that they may be looked at again where a block is short. */
    const char *second = block + tp_min(block_size - 16, 16), *third = block + tp_min(block_size - 16, 32);
    const char *last = block + tp_min(block_size - 16, 48);
    return (tp_seal_load(second) | tp_seal_load(second + 8) | tp_seal_load(third) | tp_seal_load(third + 8) |
            tp_seal_load(last) | tp_seal_load(last + 8)) == 0;
}

#endif
