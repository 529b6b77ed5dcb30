#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_FRONT ((size_t)2 * TAGPOOL_SEGMENT_PAGE)

/* How long another tool may take. */
enum { CONTROL_LOCK_TRIES = 200, CONTROL_LOCK_PAUSE_MS = 10 };

static const struct tagpool_segment_header *control_header(const struct segfile *front)
{
    return front->base;
}

static struct tagpool_segment_control *control_page(const struct segfile *front)
{
    return (struct tagpool_segment_control *)((char *)front->base + TAGPOOL_SEGMENT_PAGE);
}

/* ---- opening ---- */

int control_open(struct control *control, const struct process *process)
{
    *control = (struct control){.process = process, .fd = process_open_for_writing(process)};
    if (control->fd < 0)
        return control->fd;
    void *base = mmap(NULL, CONTROL_FRONT, PROT_READ | PROT_WRITE, MAP_SHARED, control->fd, 0);
    if (base == MAP_FAILED) {
        int error = -errno;
        close(control->fd);
        return error;
    }
    mprotect(base, TAGPOOL_SEGMENT_PAGE, PROT_READ); /* N1 */
    control->front.base = base;
    control->front.size = CONTROL_FRONT;
    return 0;
}

void control_close(struct control *control)
{
    segfile_close(&control->front);
    close(control->fd);
}

void control_unlock(const struct control *control)
{
    flock(control->fd, LOCK_UN);
}

int control_lock(const struct control *control)
{
    const struct timespec pause = {.tv_nsec = CONTROL_LOCK_PAUSE_MS * 1000000};
    for (int i = 0; i < CONTROL_LOCK_TRIES; i++) {
        if (flock(control->fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

/* ---- reading ---- */

static uint32_t control_load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static int control_copy_state(const struct segfile *front, void *context)
{
    struct control_state *state = context;
    const struct tagpool_segment_control *page = control_page(front);
    const struct tagpool_segment_header *header = control_header(front);
    uint32_t count = page->rules_count;
    memcpy(state->rules.rows, page->rules, sizeof(state->rules.rows));
    state->rules.count = count <= TAGPOOL_SEGMENT_RULES ? count : TAGPOOL_SEGMENT_RULES;
    state->is_seen = control_load(&header->rules_seen) == control_load(&page->rules_version) &&
                     control_load(&header->limits_seen) == control_load(&page->limits_version);
    return 0;
}

int control_read(const struct control *control, struct control_state *state)
{
    memset(state, 0, sizeof(*state));
    int error = segfile_guard(&control->front, control_copy_state, state);
    for (uint32_t i = 0; i < TAGPOOL_SEGMENT_RULES; i++) {
        struct tagpool_segment_rule *row = &state->rules.rows[i];
        row->pattern[sizeof(row->pattern) - 1] = '\0';
        row->site[sizeof(row->site) - 1] = '\0';
    }
    return error;
}

/* ---- writing ---- */

struct control_change {
    const struct ruleset *rules;
    const struct control_limits *limits;
};

/* N3.  The program adds to the epoch as well. */
static void control_write_rules(struct tagpool_segment_control *page, const struct ruleset *rules)
{
    memcpy(page->rules, rules->rows, sizeof(page->rules));
    page->rules_count = rules->count;
    __atomic_store_n(&page->rules_version, page->rules_version + 1, __ATOMIC_RELEASE);
}

/* Limits that were read are the program's own from then on; those that were not must stay. */
static int control_write_limits(const struct tagpool_segment_header *header, struct tagpool_segment_control *page,
                                const struct control_limits *limits)
{
    uint32_t count = page->limits_count;
    if (control_load(&header->limits_seen) == page->limits_version || count > TAGPOOL_SEGMENT_LIMITS)
        count = 0;
    if (limits->count > TAGPOOL_SEGMENT_LIMITS - count)
        return -ENOSPC;
    memcpy(&page->limits[count], limits->items, limits->count * sizeof(limits->items[0]));
    page->limits_count = count + limits->count;
    __atomic_store_n(&page->limits_version, page->limits_version + 1, __ATOMIC_RELEASE);
    return 0;
}

static int control_write_all(const struct segfile *front, void *context)
{
    const struct control_change *change = context;
    struct tagpool_segment_control *page = control_page(front);
    int error = change->limits != NULL ? control_write_limits(control_header(front), page, change->limits) : 0;
    if (error != 0)
        return error;
    if (change->rules != NULL)
        control_write_rules(page, change->rules);
    __atomic_fetch_add(&page->epoch, 1, __ATOMIC_RELEASE);
    return 0;
}

int control_write(const struct control *control, const struct ruleset *rules, const struct control_limits *limits)
{
    struct control_change change = {rules, limits};
    return segfile_guard(&control->front, control_write_all, &change);
}

const char *control_error_text(int error)
{
    if (error == -EBUSY)
        return "another tool is writing its settings";
    if (error == -ENOSPC)
        return "it has not read the limits of before yet, and there is no room for more: let it allocate";
    if (error == -ESRCH)
        return "it ended meanwhile";
    return segfile_error_text(error);
}
