#include "start.h"
#include "chart.h"
#include "fatal.h"
#include "fork.h"
#include "lock.h"
#include "os.h"
#include "segment.h"
#include "site.h"
#include "sizeclass.h"
#include "space.h"
#include "tag.h"
#include "thread.h"
#include "verify.h"

#include <stdlib.h>
#include <string.h>

static uint32_t start_done;
static uint32_t start_may_publish;

/* TAGPOOL_BACKING=shared: pools that can be mapped a second time, for a host that needs it. */
static enum tp_backing start_backing(void)
{
    const char *value = tp_os_environment("TAGPOOL_BACKING");
    return value != NULL && strcmp(value, "shared") == 0 ? TP_BACKING_SHARED : TP_BACKING_PRIVATE;
}

static void start_engine(void)
{
    tp_sizeclass_init();
    if (tp_space_init(start_backing()) != 0)
        tp_fail("cannot start: no address space to reserve (RLIMIT_AS must leave some 150 MiB)");
    if (tp_segment_init(tp_space.unit_count) != 0)
        tp_fail("cannot start: no memory for the accounts");
    tp_segment->chart = (uintptr_t)&tp_chart;
    tp_tag_init();
    tp_verify_init();
    if (tp_thread_init() != 0)
        tp_fail("cannot start: no memory for the first thread");
    tp_site_init();
    tp_fork_note_home();
}

/* Below the frame of the caller, which keeps the program's registers. */
static TP_NOINLINE void start_end_verifier(void)
{
    static uint32_t ended;
    if (tp_fork_is_home() && !__atomic_exchange_n(&ended, 1, __ATOMIC_ACQ_REL))
        tp_verify_end((uintptr_t)__builtin_dwarf_cfa());
}

void tp_start_end(void)
{
    __builtin_unwind_init();
    start_end_verifier();
    tp_segment_retire();
}

/* By exit and quick_exit; what ends otherwise leaves its file, and readers take it for a killed program's. */
static __attribute__((destructor)) void start_end(void)
{
    if (start_done)
        tp_start_end();
}

/* The process is ready to be looked at: what the C library does not allow before its constructors is done here. */
static void start_publish(void)
{
    static uint32_t published;
    if (__atomic_exchange_n(&published, 1, __ATOMIC_ACQ_REL))
        return;
    tp_fork_init();
    at_quick_exit(start_end);
    tp_segment_publish();
}

void tp_start(void)
{
    if (TP_LIKELY(__atomic_load_n(&start_done, __ATOMIC_ACQUIRE)))
        return;
    tp_lock(TP_LOCK_START);
    if (!start_done) {
        start_engine();
        __atomic_store_n(&start_done, 1, __ATOMIC_RELEASE);
    }
    tp_unlock(TP_LOCK_START);
    if (tp_peek(&start_may_publish))
        start_publish();
}

void tp_start_may_publish(void)
{
    tp_poke(&start_may_publish, 1);
    if (__atomic_load_n(&start_done, __ATOMIC_ACQUIRE))
        start_publish();
}
