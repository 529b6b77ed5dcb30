#include "fault.h"
#include "child.h"

#include "alloc.h"
#include "guard.h"
#include "metadata.h"
#include "os.h"
#include "span.h"
#include "uring.h"

#include <errno.h>
#include <sys/wait.h>

static unsigned fault_countdown;
static bool fault_done;

void fault_at(unsigned nth)
{
    fault_countdown = nth;
    fault_done = fault_done && nth == 0;
}

bool fault_happened(void)
{
    return fault_done;
}

static bool fault_now(void)
{
    if (fault_countdown == 0 || --fault_countdown > 0)
        return false;
    return fault_done = true;
}

/* What is refused: its type, its name, its parameters, their names, and what a refusal returns. */
#define FAULT(type, name, parameters, names, refusal)                                                                  \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fault_now() ? refusal : __real_##name names;                                                            \
    }

FAULT(int, tp_os_commit, (void *addr, size_t size), (addr, size), -ENOMEM)
FAULT(int, tp_os_lock, (void *addr, size_t size), (addr, size), -ENOMEM)
FAULT(int, tp_os_collapse, (void *addr, size_t size), (addr, size), -EINVAL)
FAULT(int, tp_os_populate, (void *addr, size_t size), (addr, size), -ENOMEM)
FAULT(int, tp_guard_open, (void *addr, size_t size), (addr, size), -ENOMEM)
FAULT(int, tp_guard_prepare, (void *addr, size_t size), (addr, size), -ENOMEM)
FAULT(void *, tp_metadata_alloc, (size_t size), (size), NULL)
FAULT(struct tp_page *, tp_span_alloc, (unsigned region, size_t units, size_t align_units),
      (region, units, align_units), NULL)
FAULT(void *, tp_alloc, (struct tp_thread *thread, uint32_t slot, size_t size, size_t alignment),
      (thread, slot, size, alignment), (errno = ENOMEM, NULL))
FAULT(void *, tp_alloc_requested, (struct tp_thread *thread, const struct tp_alloc_request *request),
      (thread, request), (errno = ENOMEM, NULL))
FAULT(int, tp_uring_open, (struct tp_uring *uring, const struct iovec *buffers, unsigned count),
      (uring, buffers, count), -ENOMEM)

/* A ring that moves nothing, and keeps silent about it. */
FAULT(int, tp_uring_run, (struct tp_uring *uring, struct tp_request *request), (uring, request), 0)

int (*fault_frames)(const void *addr, size_t count, uint64_t *frames);

int __real_tp_os_page_frames(const void *addr, size_t count, uint64_t *frames);
int __wrap_tp_os_page_frames(const void *addr, size_t count, uint64_t *frames);
int __wrap_tp_os_page_frames(const void *addr, size_t count, uint64_t *frames)
{
    if (fault_now())
        return -EMFILE;
    return (fault_frames != NULL ? fault_frames : __real_tp_os_page_frames)(addr, count, frames);
}

/* --- each in turn --------------------------------------------------------------------------------------------- */

struct fault_turn {
    void (*body)(void);
    unsigned nth;
};

enum { FAULT_NOT_REACHED = 9 };

static void fault_run(void *argument)
{
    const struct fault_turn *turn = argument;
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 1, TAGPOOL_TAG('f', 'a', 'l', 't')));
    fault_at(turn->nth);
    turn->body();
    if (!fault_happened())
        _Exit(FAULT_NOT_REACHED);
}

void fault_must_be_empty(tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct tagpool_stats stats;
    fault_at(0);
    if (tagpool_stats(kind, tag, &stats) == 0) {
        fault_must(stats.allocs == stats.frees);
        fault_must(stats.bytes == 0);
    }
}

unsigned fault_each(void (*body)(void))
{
    struct fault_turn turn = {.body = body};
    for (turn.nth = 1;; turn.nth++) {
        struct child_result result = child_run(fault_run, &turn);
        if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == FAULT_NOT_REACHED)
            return turn.nth - 1;
        if (!child_succeeded(&result)) {
            fprintf(stderr, "with call %u failing: status %#x\n%s", turn.nth, (unsigned)result.status, result.text);
            abort();
        }
    }
}
