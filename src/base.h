/*
 * What every file of the engine starts from: sizes, branch hints, atomics, assertions.
 */
#ifndef TP_BASE_H
#define TP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TP_KIB ((size_t)1 << 10)
#define TP_MIB ((size_t)1 << 20)
#define TP_GIB ((size_t)1 << 30)

#define TP_CACHE_LINE 64u
#define TP_OS_PAGE_SHIFT 12
#define TP_OS_PAGE ((size_t)1 << TP_OS_PAGE_SHIFT)
#define TP_UNIT_SHIFT 16
#define TP_UNIT ((size_t)1 << TP_UNIT_SHIFT)
#define TP_HUGE_PAGE (2 * TP_MIB)

#define TP_LIKELY(x) __builtin_expect(!!(x), 1)
#define TP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TP_INLINE static inline __attribute__((always_inline))
#define TP_NOINLINE __attribute__((noinline))
/* For declarations of data: the compiler then knows that it lies in this library, at a fixed distance. */
#define TP_HIDDEN __attribute__((visibility("hidden")))

/* A function that reads what other threads may be writing, and finds out itself: the race detector need not. */
#define TP_RACES __attribute__((no_sanitize("thread")))

/*
 * Relaxed access to a word that another thread or process may read meanwhile: never torn, never cached.  A volatile
 * access is just that, and the compiler makes one instruction of it; the race detector wants to be told.
 */
#if defined(__SANITIZE_THREAD__)
#define tp_peek(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define tp_poke(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#else
#define tp_peek(p) (*(const volatile __typeof__(*(p)) *)(p))
#define tp_poke(p, v) ((void)(*(volatile __typeof__(*(p)) *)(p) = (v)))
#endif

/* Release where the machine does not order stores by itself: readers of the accounts rely on the order (G3). */
#define tp_publish(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/*
 * A counter with one writer at a time.  Where stores are ordered anyway one instruction does it; the race detector
 * wants to be told.
 */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define tp_count(p, n) ((void)(*(p) += (n)))
#else
#define tp_count(p, n) tp_publish((p), tp_peek(p) + (n))
#endif

/*
 * Have a line fetched that will be written soon; NULL is fine.  For memory that another core wrote last it matters that
 * the line comes at once as one's own.  All x86-64 processors take the instruction; compilers want a flag for it.
 */
TP_INLINE void tp_prefetch_for_write(const void *p)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw (%0)" : : "r"(p));
#else
    __builtin_prefetch(p, 1);
#endif
}

/* Built with assertions (a test configuration) or not; a constant, so the code is always compiled. */
#ifndef TP_CHECKED
#define TP_CHECKED 0
#endif

void tp_assert_failed(const char *invariant, const char *file, int line) __attribute__((noreturn, cold));

/* We are wrong: `id` names the invariant in the head of the file that states it. */
#define TP_ASSERT(cond, id)                                                                                            \
    do {                                                                                                               \
        if (TP_CHECKED && !(cond))                                                                                     \
            tp_assert_failed((id), __FILE__, __LINE__);                                                                \
    } while (0)

TP_INLINE size_t tp_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

TP_INLINE size_t tp_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

TP_INLINE size_t tp_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

TP_INLINE bool tp_is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

#endif
