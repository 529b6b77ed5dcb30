/*
 * Call chains of the shapes that compilers make, each compiled twice: with a frame pointer and without.
 */
#ifndef TEST_FRAME_CHAIN_H
#define TEST_FRAME_CHAIN_H

/*
 * Calls leaf() below some frames of each shape: plain, alloca, variable array, deep recursion, a callback of libc,
 * arguments on the stack of a frame that aligns itself.
 */
typedef void (*chain_leaf)(void);
enum { CHAIN_SHAPES = 7 };
void chain_with_fp(int shape, chain_leaf leaf);
void chain_without_fp(int shape, chain_leaf leaf);

#endif
