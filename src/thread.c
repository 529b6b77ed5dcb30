#include "thread.h"
#include "account.h"
#include "fork.h"
#include "heap.h"
#include "lock.h"
#include "mail.h"
#include "start.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

/*
 * The round of thread-local destructors that ends a record.  Other libraries' destructors may still allocate, so it is
 * the last; the race detector ends its own record in the last one, and cannot watch us after that.
 */
#if defined(__SANITIZE_THREAD__)
#define THREAD_END_ROUND (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define THREAD_END_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif

/* Records that ended without their destructor (a raw exit) are looked for when this many more exist. */
#define THREAD_SEARCH_STEP 64

struct tp_gate tp_gate_nobody;
struct tp_gate tp_gate_ended;
__thread struct tp_gate *tp_gate_self = &tp_gate_nobody;
TAGPOOL_API __thread struct tagpool_lookaside_hand **tagpool_lookaside_hands = tp_gate_nobody.hands;

struct tp_thread *tp_thread_orphans;
static struct tp_thread_keeper *thread_keepers;

static struct tp_thread *thread_free_list;
static uint32_t thread_next_index;
static uint32_t thread_next_search = THREAD_SEARCH_STEP;
static pthread_key_t thread_key;
static bool thread_key_made;

struct tp_thread *tp_thread_at(uint32_t index)
{
    return (struct tp_thread *)(tp_areas[TP_AREA_THREADS].base + (size_t)index * TP_THREAD_STRIDE);
}

uint32_t tp_thread_count(void)
{
    return tp_peek(&thread_next_index);
}

static struct tp_gate *thread_gate_at(uint32_t index)
{
    return (struct tp_gate *)(tp_areas[TP_AREA_GATES].base + (size_t)index * TP_GATE_STRIDE);
}

struct tp_thread *tp_thread_of(uint64_t id)
{
    uint64_t index = (id >> 4) - TP_OWNER_FIRST_THREAD;
    return index < tp_peek(&thread_next_index) ? tp_thread_at((uint32_t)index) : NULL;
}

static void thread_enter(struct tp_gate *gate)
{
    tp_gate_self = gate;
    tagpool_lookaside_hands = gate->hands;
}

/* --- records -------------------------------------------------------------------------------------------------- */

static struct tp_thread *thread_new_record(void)
{
    uint32_t index = thread_next_index;
    if (index == tp_space_threads)
        return NULL;
    if (tp_area_grow(TP_AREA_GATES, (index + 1) * TP_GATE_STRIDE) != 0 ||
        tp_area_grow(TP_AREA_THREADS, (index + 1) * TP_THREAD_STRIDE) != 0)
        return NULL;
    struct tp_thread *thread = tp_thread_at(index);
    thread->index = index;
    thread->id = ((uint64_t)index + TP_OWNER_FIRST_THREAD) << 4;
    thread->gate = thread_gate_at(index);
    tp_publish(&thread_next_index, index + 1);
    return thread;
}

static struct tp_thread *thread_take_record(void)
{
    struct tp_thread *thread = thread_free_list;
    if (thread == NULL)
        return thread_new_record();
    thread_free_list = thread->next_free;
    return thread;
}

static void thread_fill_gate(struct tp_thread *thread)
{
    struct tp_gate *gate = thread->gate;
    gate->thread = thread;
    gate->ring = thread->ring;
    gate->id = thread->id;
}

void tp_gate_clear(struct tp_gate *gate)
{
    gate->sample_skips = gate->sample_one_in = 0;
    for (; gate->parts != 0; gate->parts &= gate->parts - 1)
        memset(&gate->sites[(unsigned)__builtin_ctzll(gate->parts) * TP_GATE_PART], 0,
               TP_GATE_PART * sizeof(gate->sites[0]));
}

/* --- keepers -------------------------------------------------------------------------------------------------- */

static struct tp_thread_keeper *thread_keepers_first(void)
{
    return __atomic_load_n(&thread_keepers, __ATOMIC_ACQUIRE);
}

void tp_thread_add_keeper(struct tp_thread_keeper *keeper)
{
    tp_lock(TP_LOCK_THREADS);
    const struct tp_thread_keeper *known = thread_keepers;
    while (known != NULL && known != keeper)
        known = known->next;
    if (known == NULL) {
        keeper->next = thread_keepers;
        tp_publish(&thread_keepers, keeper);
    }
    tp_unlock(TP_LOCK_THREADS);
}

/* --- the end of a thread -------------------------------------------------------------------------------------- */

static void thread_clear(struct tp_thread *thread)
{
    struct tp_gate *gate = thread->gate;
    memset(thread->slots, 0, thread->slots_used * sizeof(thread->slots[0]));
    thread->slots_used = 0;
    tp_gate_clear(gate);
    memset(gate, 0, offsetof(struct tp_gate, sites));
}

/* By the thread itself in its last moments, or by another one that found it gone. */
static void thread_end(struct tp_thread *thread)
{
    for (const struct tp_thread_keeper *keeper = thread_keepers_first(); keeper != NULL; keeper = keeper->next)
        keeper->end(thread);
    tp_mail_flush(thread);
    tp_mail_collect(thread);
    tp_lock(TP_LOCK_ORPHANS);
    bool moved = tp_heap_orphan_all(thread);
    __atomic_store_n(&thread->state, moved ? TP_THREAD_FREE : TP_THREAD_FROZEN, __ATOMIC_SEQ_CST);
    tp_unlock(TP_LOCK_ORPHANS);
    tp_mail_collect(thread); /* M1: what came before the state changed */
    tp_account_fold(thread);
    thread_clear(thread);
    tp_lock(TP_LOCK_THREADS);
    if (moved) {
        thread->next_free = thread_free_list;
        thread_free_list = thread;
    }
    tp_unlock(TP_LOCK_THREADS);
}

static void thread_at_exit(void *argument)
{
    uintptr_t round = (uintptr_t)argument;
    struct tp_gate *gate = tp_gate_self;
    if (round < THREAD_END_ROUND) {
        pthread_setspecific(thread_key, (void *)(round + 1));
        return;
    }
    struct tp_thread *thread = gate->thread;
    thread_enter(&tp_gate_ended);
    if (thread != NULL && thread != tp_thread_orphans)
        thread_end(thread);
}

/* Threads that left by a raw exit never ran the destructor.  A kernel id used again is ours: its old bearer is gone. */
static void thread_end_vanished(uint32_t kernel_id)
{
    for (uint32_t index = 0; index < tp_peek(&thread_next_index); index++) {
        struct tp_thread *thread = tp_thread_at(index);
        if (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != TP_THREAD_ALIVE)
            continue;
        if (thread->kernel_id != kernel_id && tp_os_thread_exists(thread->kernel_id))
            continue;
        uint32_t alive = TP_THREAD_ALIVE;
        if (__atomic_compare_exchange_n(&thread->state, &alive, TP_THREAD_ENDING, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
            thread_end(thread);
    }
}

static bool thread_search_is_due(void)
{
    if (thread_next_index < thread_next_search || thread_free_list != NULL)
        return false;
    thread_next_search = thread_next_index + THREAD_SEARCH_STEP;
    return true;
}

/* --- registration --------------------------------------------------------------------------------------------- */

static struct tp_thread *thread_register(void)
{
    uint32_t kernel_id = tp_os_thread_id();
    tp_lock(TP_LOCK_THREADS);
    bool due = thread_search_is_due();
    tp_unlock(TP_LOCK_THREADS);
    if (due)
        thread_end_vanished(kernel_id);
    tp_lock(TP_LOCK_THREADS);
    struct tp_thread *thread = thread_take_record();
    if (thread != NULL) {
        thread->kernel_id = kernel_id;
        __atomic_store_n(&thread->state, TP_THREAD_ALIVE, __ATOMIC_SEQ_CST);
    }
    tp_unlock(TP_LOCK_THREADS);
    return thread;
}

/* What the first gate says of the address space; wiped by fork as all gates are. */
enum thread_adoption { THREAD_NOT_ADOPTED = 0, THREAD_ADOPTING, THREAD_ADOPTED };

/* One thread adopts; others that come meanwhile wait, for until then the parent's accounts are mapped. */
static void thread_adopt_once(void)
{
    uint32_t *adoption = &thread_gate_at(0)->adoption;
    for (;;) {
        uint32_t state = __atomic_load_n(adoption, __ATOMIC_ACQUIRE);
        if (TP_LIKELY(state == THREAD_ADOPTED))
            return;
        if (state == THREAD_NOT_ADOPTED &&
            __atomic_compare_exchange_n(adoption, &state, THREAD_ADOPTING, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            tp_fork_adopt();
            __atomic_store_n(adoption, THREAD_ADOPTED, __ATOMIC_RELEASE);
        } else {
            tp_os_futex_wait(adoption, THREAD_ADOPTING);
        }
        tp_os_futex_wake(adoption); /* each wakes the next */
    }
}

TP_NOINLINE struct tp_thread *tp_thread_self_slow(void)
{
    tp_start();
    thread_adopt_once();
    if (tp_gate_self == &tp_gate_ended)
        return NULL;
    if (tp_gate_self->thread != NULL)
        return tp_gate_self->thread;
    struct tp_thread *thread = thread_register();
    if (thread == NULL) {
        thread_enter(&tp_gate_ended);
        return NULL;
    }
    thread_fill_gate(thread);
    thread_enter(thread->gate);
    /* May allocate, for a process with many keys: from here on that works. */
    if (thread_key_made)
        pthread_setspecific(thread_key, (void *)1);
    return thread;
}

static struct tp_thread *thread_make_orphans(void)
{
    struct tp_thread *thread = thread_new_record();
    if (thread == NULL)
        return NULL;
    thread->state = TP_THREAD_ORPHANS;
    return thread;
}

int tp_thread_init(void)
{
    tp_gate_nobody.id = ~UINT64_C(0);
    tp_gate_ended.id = ~UINT64_C(0);
    thread_key_made = pthread_key_create(&thread_key, thread_at_exit) == 0;
    tp_thread_orphans = thread_make_orphans();
    if (tp_thread_orphans == NULL)
        return -ENOMEM;
    thread_fill_gate(tp_thread_orphans);
    thread_gate_at(0)->adoption = THREAD_ADOPTED;
    return 0;
}

/* --- fork ----------------------------------------------------------------------------------------------------- */

/* The record whose gate the calling thread entered by, though it reads as zero now; NULL if it had none. */
static struct tp_thread *thread_before_fork(void)
{
    if (!tp_area_contains(TP_AREA_GATES, tp_gate_self))
        return NULL;
    return tp_thread_at((uint32_t)(((const char *)tp_gate_self - tp_areas[TP_AREA_GATES].base) / TP_GATE_STRIDE));
}

static void thread_freeze_others(const struct tp_thread *self, bool keep_orphans)
{
    for (uint32_t index = 0; index < thread_next_index; index++) {
        struct tp_thread *thread = tp_thread_at(index);
        bool kept = thread == self || (keep_orphans && thread == tp_thread_orphans);
        if (!kept && thread->state != TP_THREAD_FREE)
            thread->state = TP_THREAD_FROZEN;
        thread->mail = NULL; /* written by threads that are not here: it may be half there */
        tp_mail_forget(thread);
        tp_account_forget_tallies(thread);
    }
}

void tp_thread_adopt(bool consistent)
{
    struct tp_thread *self = thread_before_fork();
    thread_freeze_others(self, consistent);
    thread_free_list = NULL;
    struct tp_thread *orphans = consistent ? tp_thread_orphans : thread_make_orphans();
    /* With no record left the frozen one serves: its pages are lost to us, not to the accounts. */
    if (orphans != NULL)
        tp_thread_orphans = orphans;
    thread_fill_gate(tp_thread_orphans);
    if (self != NULL) {
        self->kernel_id = tp_os_thread_id();
        thread_fill_gate(self);
    }
    for (const struct tp_thread_keeper *keeper = thread_keepers; keeper != NULL; keeper = keeper->next)
        keeper->adopt(self);
}
