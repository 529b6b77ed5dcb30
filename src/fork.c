#include "fork.h"
#include "account.h"
#include "harden.h"
#include "heap.h"
#include "limit.h"
#include "lock.h"
#include "mail.h"
#include "metadata.h"
#include "os.h"
#include "quota.h"
#include "side.h"
#include "special.h"
#include "span.h"
#include "trap.h"

#include <pthread.h>

/* Slow calls of a child before it gets a segment: a child that only execs never pays for one. */
#define FORK_SLOW_CALLS 64

static uint32_t fork_calls_left;

/* Set by the handlers: the locks were held by the forking thread, so what they guard is whole. */
static bool fork_is_consistent;

/* What the forking thread was sent or has to send is put where the child will count it right. */
static void fork_prepare(void)
{
    struct tp_thread *self = tp_thread_self();
    if (self != NULL) {
        tp_harden_flush(self);
        tp_mail_flush(self);
        tp_mail_collect(self);
    }
    tp_lock_acquire_all();
    fork_is_consistent = true;
}

static void fork_parent(void)
{
    fork_is_consistent = false;
    tp_lock_release_all();
}

/* Adoption waits for the first call: most children exec. */
static void fork_child(void)
{
    tp_lock_reset_all();
    tp_trap_adopt();
}

void tp_fork_init(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static uint32_t fork_home;

bool tp_fork_is_home(void)
{
    return fork_home == tp_os_process_id();
}

void tp_fork_note_home(void)
{
    fork_home = tp_os_process_id();
}

/* --- accounts of what is live --------------------------------------------------------------------------------- */

static void fork_inherit_mixed(const struct tp_page *page)
{
    for (uint32_t index = 0; index < page->carved; index++) {
        struct tp_side side = tp_side_peek(page, index);
        if (side.slot == TAGPOOL_SEGMENT_NO_SLOT)
            continue;
        size_t bytes = page->watched ? tp_checked_bytes(page->watch[index].size) : page->block_size;
        tp_account_alloc(tp_thread_orphans, side.slot, bytes);
        if (side.account != TP_ACCOUNT_NONE)
            tp_quota_inherit(side.account, page->region, bytes);
    }
}

/* Without an owner word it was about to be given out, or given back: nobody here has it. */
static void fork_inherit_large(const struct tp_page *page)
{
    if (tp_space.owners[tp_page_unit(page)] == TP_OWNER_NONE)
        return;
    tp_account_alloc_direct(page->slot, page->large_size);
    if (page->account != TP_ACCOUNT_NONE)
        tp_quota_inherit(page->account, page->region, page->large_size);
}

static void fork_inherit_page(struct tp_page *page)
{
    if (page->state == TP_UNIT_LARGE)
        fork_inherit_large(page);
    else if (page->state == TP_UNIT_BLOCKS && tp_page_is_mixed(page))
        fork_inherit_mixed(page);
    else if (page->state == TP_UNIT_BLOCKS)
        tp_account_inherit(page);
}

/* Free runs that were forgotten are no neighbours to merge with: their lists and lengths cannot be trusted. */
static bool fork_forget_run(struct tp_page *page)
{
    bool is_free = page->state == TP_UNIT_DIRTY || page->state == TP_UNIT_CLEAN;
    if (is_free)
        page->state = TP_UNIT_UNUSED;
    return is_free;
}

static void fork_inherit_region(unsigned region, bool consistent)
{
    size_t unit = tp_span_region_first(region);
    size_t end = tp_span_watermark(region);
    while (unit < end) {
        struct tp_page *page = &tp_space.pages[unit];
        bool skip = !consistent && fork_forget_run(page);
        bool is_head = !skip && page->state != TP_UNIT_UNUSED && page->units > 0 && unit + page->units <= end;
        fork_inherit_page(page);
        unit += is_head ? page->units : 1;
    }
}

/* The parent's header went on changing since the fork: what it counts is told anew by what this process has. */
static void fork_inherit_totals(void)
{
    tp_segment->touched_bytes = tp_span_dirty_bytes();
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        tp_segment->touched_bytes += tp_limit_pools[region].bound;
    tp_segment->metadata_bytes = tp_metadata_bytes();
}

/* --- the interface -------------------------------------------------------------------------------------------- */

void tp_fork_adopt(void)
{
    bool consistent = fork_is_consistent;
    tp_lock_reset_all();
    fork_is_consistent = false;
    tp_segment_detach();
    if (!consistent) {
        tp_span_forget();
        tp_metadata_reset();
    }
    tp_thread_adopt(consistent);
    tp_limit_adopt();
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        fork_inherit_region(region, consistent);
    tp_special_adopt(consistent);
    tp_quota_settle();
    fork_inherit_totals();
    tp_fork_note_home();
    fork_calls_left = FORK_SLOW_CALLS;
}

/* Counters move to another mapping: no thread may count meanwhile, also none that has not called us yet. */
static void fork_renew(void)
{
    if (tp_os_thread_count() == 1)
        tp_segment_renew();
}

void tp_fork_note_slow_call(void)
{
    uint32_t left = tp_peek(&fork_calls_left);
    if (TP_LIKELY(left == 0))
        return;
    tp_poke(&fork_calls_left, left - 1);
    if (left == 1)
        fork_renew();
}

void tp_fork_before_thread(void)
{
    tp_thread_self(); /* a child that has not allocated yet adopts here */
    if (tp_peek(&fork_calls_left) != 0) {
        tp_poke(&fork_calls_left, 0);
        fork_renew();
    }
}
