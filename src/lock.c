#include "lock.h"
#include "os.h"

enum { LOCK_FREE, LOCK_HELD, LOCK_CONTENDED };

struct lock {
    uint32_t state;
} __attribute__((aligned(TP_CACHE_LINE)));

static struct lock locks[TP_LOCK_COUNT];

/* Thread that is forking and holds all locks, by its kernel id; 0: none. */
static uint32_t lock_forker;

/* Ranks this thread holds, for L1; checked builds only. */
static __thread uint32_t lock_held;

static bool lock_is_passed(void)
{
    uint32_t forker = tp_peek(&lock_forker);
    return TP_UNLIKELY(forker != 0) && forker == tp_os_thread_id();
}

static void lock_wait(uint32_t *state)
{
    for (int spin = 0; spin < 100; spin++) {
        uint32_t expected = LOCK_FREE;
        if (tp_peek(state) == LOCK_FREE &&
            __atomic_compare_exchange_n(state, &expected, LOCK_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
#ifdef __x86_64__
        __builtin_ia32_pause();
#endif
    }
    while (__atomic_exchange_n(state, LOCK_CONTENDED, __ATOMIC_ACQUIRE) != LOCK_FREE)
        tp_os_futex_wait(state, LOCK_CONTENDED);
}

static void lock_acquire(enum tp_lock_rank rank)
{
    uint32_t expected = LOCK_FREE;
    if (!__atomic_compare_exchange_n(&locks[rank].state, &expected, LOCK_HELD, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        lock_wait(&locks[rank].state);
}

static void lock_release(enum tp_lock_rank rank)
{
    if (__atomic_exchange_n(&locks[rank].state, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_CONTENDED)
        tp_os_futex_wake(&locks[rank].state);
}

void tp_lock(enum tp_lock_rank rank)
{
    if (lock_is_passed())
        return;
    if (TP_CHECKED) {
        TP_ASSERT(lock_held >> rank == 0, "L1");
        lock_held |= 1u << rank;
    }
    lock_acquire(rank);
}

void tp_unlock(enum tp_lock_rank rank)
{
    if (lock_is_passed())
        return;
    if (TP_CHECKED)
        lock_held &= ~(1u << rank);
    lock_release(rank);
}

void tp_lock_acquire_all(void)
{
    for (int rank = 0; rank < TP_LOCK_COUNT; rank++)
        lock_acquire((enum tp_lock_rank)rank);
    tp_poke(&lock_forker, tp_os_thread_id());
}

void tp_lock_release_all(void)
{
    tp_poke(&lock_forker, 0);
    for (int rank = TP_LOCK_COUNT - 1; rank >= 0; rank--)
        lock_release((enum tp_lock_rank)rank);
}

void tp_lock_reset_all(void)
{
    tp_poke(&lock_forker, 0);
    for (int rank = 0; rank < TP_LOCK_COUNT; rank++)
        tp_poke(&locks[rank].state, LOCK_FREE);
}
