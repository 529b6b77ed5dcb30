#include "frame_chain.h"

#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CHAIN_NAME
#define CHAIN_NAME chain_without_fp
#endif

#define NO_TAIL_CALL __asm__ volatile("" ::: "memory")

static __attribute__((noinline)) void chain_plain(int depth, chain_leaf leaf)
{
    char room[40];
    __asm__ volatile("" ::"r"(room) : "memory");
    if (depth == 0)
        leaf();
    else
        chain_plain(depth - 1, leaf);
    NO_TAIL_CALL;
}

/* The stack pointer of such a frame is not known to the unwind tables: they go by the frame pointer. */
static __attribute__((noinline)) void chain_alloca(int depth, chain_leaf leaf)
{
    char *room = alloca((size_t)depth * 24 + 8);
    memset(room, depth, (size_t)depth * 24 + 8);
    __asm__ volatile("" ::"r"(room) : "memory");
    if (depth == 0)
        leaf();
    else
        chain_alloca(depth - 1, leaf);
    NO_TAIL_CALL;
}

static __attribute__((noinline)) void chain_aligned(int depth, chain_leaf leaf)
{
    char room[64] __attribute__((aligned(64)));
    memset(room, depth, sizeof(room));
    __asm__ volatile("" ::"r"(room) : "memory");
    if (depth == 0)
        leaf();
    else
        chain_plain(depth - 1, leaf);
    NO_TAIL_CALL;
}

/* Arguments on the stack of a frame that aligns itself: the compiler keeps a pointer to them, and finds all by it. */
static __attribute__((noinline)) int chain_pointed(int depth, chain_leaf leaf, int a, int b, int c, int d, int e, int f)
{
    char room[64] __attribute__((aligned(64)));
    memset(room, depth, sizeof(room));
    __asm__ volatile("" ::"r"(room) : "memory");
    if (depth == 0)
        leaf();
    else
        f += chain_pointed(depth - 1, leaf, b, c, d, e, f, a);
    NO_TAIL_CALL;
    return e + f;
}

/* Every callee-saved register is in use over the call. */
static __attribute__((noinline)) uint64_t chain_busy(int depth, chain_leaf leaf, uint64_t a, uint64_t b)
{
    uint64_t c = a * 3 + b, d = c ^ a, e = d + b, f = e * d, g = f - c;
    if (depth == 0)
        leaf();
    else
        g += chain_busy(depth - 1, leaf, f, g);
    NO_TAIL_CALL;
    return a ^ b ^ c ^ d ^ e ^ f ^ g;
}

static __thread chain_leaf chain_callback_leaf;

static int chain_compare(const void *a, const void *b)
{
    if (chain_callback_leaf != NULL) {
        chain_leaf leaf = chain_callback_leaf;
        chain_callback_leaf = NULL;
        chain_alloca(2, leaf);
    }
    return memcmp(a, b, 1);
}

static __attribute__((noinline)) void chain_callback(chain_leaf leaf)
{
    char letters[] = "hello";
    chain_callback_leaf = leaf;
    qsort(letters, sizeof(letters), 1, chain_compare);
    NO_TAIL_CALL;
}

void CHAIN_NAME(int shape, chain_leaf leaf)
{
    switch (shape) {
    case 0: chain_plain(3, leaf); break;
    case 1: chain_alloca(3, leaf); break;
    case 2: chain_aligned(3, leaf); break;
    case 3: chain_busy(4, leaf, 5, 6); break;
    case 4: chain_callback(leaf); break;
    case 5: chain_plain(50, leaf); break;
    case 6: chain_pointed(3, leaf, 1, 2, 3, 4, 5, 6); break;
    }
    NO_TAIL_CALL;
}
