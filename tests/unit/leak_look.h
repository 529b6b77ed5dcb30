/*
 * Inquests into a test's own process.
 *
 * Blocks are made far below the frames that are looked at, and that part of the stack is wiped, so that no pointer to
 * them is left by accident.  A pointer that a test keeps for itself is inverted.
 */
#ifndef TEST_LEAK_LOOK_H
#define TEST_LEAK_LOOK_H

#include "inquest.h"

#include <check.h>
#include <tagpool.h>

#define TAG TAGPOOL_TAG('L', 'o', 's', 't')
#define BAIT TAGPOOL_TAG('B', 'a', 'i', 't')
enum { SIZE = 100, MANY = 2000 };

struct node {
    struct node *next;
    struct node *other;
};

extern struct tp_leak_result found;
extern void *volatile kept;
extern uintptr_t hidden[MANY];

/* Look for leaks of slots (NULL: of all): the result is in `found`. */
void look_for(const uint16_t *slots);
void look(void);

/* Far below the frames that stay. */
void do_deep(void (*work)(void));
void wipe(void);

/* Blocks of a tag that were found in a class. */
uint64_t blocks_of(tagpool_tag_t tag, enum tagpool_report_leak_class class);

#define expect(tag, lost, possibly, reachable)                                                                         \
    do {                                                                                                               \
        ck_assert_uint_eq(blocks_of(tag, TAGPOOL_REPORT_LOST), lost);                                                  \
        ck_assert_uint_eq(blocks_of(tag, TAGPOOL_REPORT_POSSIBLY_LOST), possibly);                                     \
        ck_assert_uint_eq(blocks_of(tag, TAGPOOL_REPORT_REACHABLE), reachable);                                        \
    } while (0)

/* A block of another tag takes the first place of the pool, and is kept. */
void begin(void);

/* Blocks of zeros: one; one that is hidden[0] alone; one that is kept; a chain. */
void *make(size_t size);
void make_one(void);
void make_kept(void);
struct node *make_chain(int length);

/*
 * Sanitizers put a shadow of the whole address space into private memory: nothing is looked at there.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEAK_IS_LOOKED_FOR 0
#else
#define LEAK_IS_LOOKED_FOR 1
#endif

#define LEAK_MAIN(module, ...) UNIT_MAIN_WHERE(LEAK_IS_LOOKED_FOR, module, __VA_ARGS__)

#endif
