#include "segment.h"
#include "fatal.h"
#include "os.h"
#include "page.h"
#include "sizeclass.h"
#include "space.h"
#include "text.h"

#include <errno.h>
#include <string.h>

struct tagpool_segment_header *tp_segment;
struct tagpool_segment_slot *tp_segment_slots;
struct tagpool_segment_tally *tp_segment_tallies;
struct tagpool_segment_quota *tp_segment_quotas;

/* Read by calls that come before the first one is through. */
static const struct tagpool_segment_control segment_control_none;
const struct tagpool_segment_control *tp_segment_control = &segment_control_none;

/* The tables' places in the file.  Rows come last: their number depends on the machine. */
#define SEGMENT_SLOTS_AT ((size_t)2 * TAGPOOL_SEGMENT_PAGE)
#define SEGMENT_TALLIES_AT (SEGMENT_SLOTS_AT + TP_SLOT_COUNT * sizeof(struct tagpool_segment_slot))
#define SEGMENT_QUOTAS_AT (SEGMENT_TALLIES_AT + TP_TALLY_COUNT * sizeof(struct tagpool_segment_tally))
#define SEGMENT_ROWS_AT (SEGMENT_QUOTAS_AT + TP_QUOTA_COUNT * sizeof(struct tagpool_segment_quota))

static size_t segment_size;
static int segment_fd = -1;  /* between creation and publication */
static bool segment_is_file; /* the mapping is a file's: new parts are populated */
static bool segment_published;
static bool segment_detached;  /* private memory in a forked child, no file yet */
static uint32_t segment_owner; /* the process that may unlink the name */
static char segment_path[64];
static size_t segment_slots_ready;
static size_t segment_tallies_ready;
static size_t segment_quotas_ready;
static size_t segment_rows_first[TAGPOOL_SEGMENT_REGIONS];
static size_t segment_rows_end[TAGPOOL_SEGMENT_REGIONS];

/* What the header says of rows and slots in use, for a forked child: its parent's header goes on changing. */
static struct tagpool_segment_region segment_regions[TAGPOOL_SEGMENT_REGIONS];
static uint32_t segment_slots_used = 1;

/* --- making --------------------------------------------------------------------------------------------------- */

static void segment_place(char *base)
{
    tp_segment = (struct tagpool_segment_header *)base;
    tp_poke(&tp_segment_control, (const struct tagpool_segment_control *)(base + TAGPOOL_SEGMENT_PAGE));
    tp_segment_slots = (struct tagpool_segment_slot *)(base + SEGMENT_SLOTS_AT);
    tp_segment_tallies = (struct tagpool_segment_tally *)(base + SEGMENT_TALLIES_AT);
    tp_segment_quotas = (struct tagpool_segment_quota *)(base + SEGMENT_QUOTAS_AT);
    tp_space.rows = (struct tagpool_segment_row *)(base + SEGMENT_ROWS_AT);
    tp_space.row_bias = (uintptr_t)tp_space.rows - ((uintptr_t)tp_space.pages >> TP_PAGE_ROW_SHIFT);
}

static void segment_fill_classes(struct tagpool_segment_header *header)
{
    for (unsigned table = 0; table < TP_TABLE_COUNT; table++)
        for (unsigned class = 0; class < tp_class_tables[table].count; class++)
            header->class_size[table][class] = tp_class_tables[table].size[class];
}

static void segment_fill_header(struct tagpool_segment_header *header, size_t unit_count)
{
    header->header_size = sizeof(*header);
    header->file_size = segment_size;
    header->slot_size = sizeof(struct tagpool_segment_slot);
    header->slot_count = TP_SLOT_COUNT;
    header->slots_offset = SEGMENT_SLOTS_AT;
    header->tally_size = sizeof(struct tagpool_segment_tally);
    header->tally_count = TP_TALLY_COUNT;
    header->tallies_offset = SEGMENT_TALLIES_AT;
    header->quota_size = sizeof(struct tagpool_segment_quota);
    header->quota_count = TP_QUOTA_COUNT;
    header->quotas_offset = SEGMENT_QUOTAS_AT;
    header->row_size = sizeof(struct tagpool_segment_row);
    header->unit_shift = TP_UNIT_SHIFT;
    header->rows_offset = SEGMENT_ROWS_AT;
    header->row_count = unit_count;
    header->slots_used_total = 1; /* slot 0 is never used */
    header->tallies_used_total = 1;
    header->quotas_used_total = 1;
    header->version = TAGPOOL_SEGMENT_VERSION;
    segment_fill_classes(header);
    header->magic = TAGPOOL_SEGMENT_MAGIC;
}

/* A file's mapping, or NULL.  The descriptor stays open until the file has its name. */
static char *segment_map_file(void)
{
    int fd = tp_os_file_create(TAGPOOL_SEGMENT_DIR, segment_size);
    if (fd < 0)
        return NULL;
    char *base = tp_os_file_map(fd, segment_size);
    if (base != NULL && tp_os_populate(base, SEGMENT_SLOTS_AT + TAGPOOL_SEGMENT_PAGE) == 0) {
        segment_fd = fd;
        segment_is_file = true;
        return base;
    }
    if (base != NULL)
        tp_os_release(base, segment_size);
    tp_os_close(fd);
    return NULL;
}

/* Space for all tables; memory comes as parts are made ready, for where every byte is charged. */
static char *segment_map_private(void)
{
    char *base = tp_os_reserve(segment_size);
    if (base != NULL && tp_os_commit(base, SEGMENT_SLOTS_AT + TAGPOOL_SEGMENT_PAGE) == 0)
        return base;
    if (base != NULL)
        tp_os_release(base, segment_size);
    return NULL;
}

int tp_segment_init(size_t unit_count)
{
    segment_size = tp_round_up(SEGMENT_ROWS_AT + unit_count * sizeof(struct tagpool_segment_row), TP_OS_PAGE);
    char *base = segment_map_file();
    if (base == NULL)
        base = segment_map_private();
    if (base == NULL)
        return -ENOMEM;
    segment_place(base);
    segment_slots_ready = TAGPOOL_SEGMENT_PAGE / sizeof(struct tagpool_segment_slot);
    segment_fill_header(tp_segment, unit_count);
    return 0;
}

size_t tp_segment_size(void)
{
    return segment_size;
}

void tp_segment_next_epoch(void)
{
    struct tagpool_segment_control *control = (struct tagpool_segment_control *)(uintptr_t)tp_segment_control;
    __atomic_fetch_add(&control->epoch, 1, __ATOMIC_RELEASE);
}

/* --- parts made ready ----------------------------------------------------------------------------------------- */

/* Have a part of a file populated; where there is no room for it, it goes private and readers are told. */
static int segment_populate(void *from, size_t size)
{
    if (tp_os_populate(from, size) == 0)
        return 0;
    tp_segment->flags |= TAGPOOL_SEGMENT_INCOMPLETE;
    return tp_os_map_private_at(from, size);
}

static int segment_ready(void *from, void *to)
{
    if (to <= from)
        return 0;
    char *first = (char *)((uintptr_t)from & ~(TP_OS_PAGE - 1));
    size_t size = tp_round_up((size_t)((char *)to - first), TP_OS_PAGE);
    return segment_is_file ? segment_populate(first, size) : tp_os_commit(first, size);
}

int tp_segment_rows_ready(unsigned region, size_t from, size_t to)
{
    int error = segment_ready(&tp_space.rows[from], &tp_space.rows[to]);
    if (error != 0)
        return error;
    if (segment_rows_end[region] == 0)
        segment_rows_first[region] = from;
    segment_rows_end[region] = to;
    return 0;
}

/* A table whose parts are used from its first row on. */
static int segment_table_ready(void *table, size_t row_size, size_t count, size_t *ready)
{
    if (count <= *ready)
        return 0;
    size_t target = tp_round_up(count * row_size, TAGPOOL_SEGMENT_PAGE) / row_size;
    int error = segment_ready((char *)table + *ready * row_size, (char *)table + target * row_size);
    if (error == 0)
        *ready = target;
    return error;
}

int tp_segment_slots_ready(size_t count)
{
    return segment_table_ready(tp_segment_slots, sizeof(*tp_segment_slots), count, &segment_slots_ready);
}

int tp_segment_tallies_ready(size_t count)
{
    return segment_table_ready(tp_segment_tallies, sizeof(*tp_segment_tallies), count, &segment_tallies_ready);
}

int tp_segment_quotas_ready(size_t count)
{
    return segment_table_ready(tp_segment_quotas, sizeof(*tp_segment_quotas), count, &segment_quotas_ready);
}

void tp_segment_region_used(unsigned region, size_t first, size_t used)
{
    segment_regions[region] = (struct tagpool_segment_region){first, used};
    tp_poke(&tp_segment->region[region].first, first);
    tp_publish(&tp_segment->region[region].used_total, used);
}

void tp_segment_slot_used(uint32_t slot)
{
    tp_publish(&tp_segment_slots[slot].used, 1);
    if (slot < segment_slots_used)
        return;
    segment_slots_used = slot + 1;
    tp_publish(&tp_segment->slots_used_total, segment_slots_used);
}

/* --- the name ------------------------------------------------------------------------------------------------- */

static void segment_write_path(bool with_nonce)
{
    struct tp_text path = {.at = segment_path, .size = sizeof(segment_path) - 1};
    tp_text_add(&path, TAGPOOL_SEGMENT_DIR "/" TAGPOOL_SEGMENT_PREFIX);
    tp_text_number(&path, tp_segment->uid);
    tp_text_char(&path, '.');
    tp_text_number(&path, tp_segment->pid);
    if (with_nonce) {
        tp_text_char(&path, '.');
        tp_text_number(&path, tp_segment->nonce);
    }
    segment_path[path.length] = '\0';
}

/* The file at segment_path was made by this process before exec, or by a dead one that had its number. */
static bool segment_is_older_self(void)
{
    struct tagpool_segment_header old;
    int length = tp_os_read_own_file(segment_path, &old, sizeof(old));
    return length >= (int)offsetof(struct tagpool_segment_header, program) && old.pid == tp_segment->pid &&
           old.pid_namespace == tp_segment->pid_namespace;
}

/*
 * The plain name may be taken by what this process was before exec: that one goes.  Where it cannot (another user's
 * file, another PID namespace with the same number) the nonce makes the name free.
 */
static int segment_link(int fd)
{
    segment_write_path(false);
    int error = tp_os_file_publish(fd, segment_path);
    if (error != -EEXIST)
        return error;
    if (!segment_is_older_self() || tp_os_unlink(segment_path) != 0)
        segment_write_path(true);
    return tp_os_file_publish(fd, segment_path);
}

static void segment_identify(struct tagpool_segment_header *header)
{
    header->pid = tp_os_process_id();
    header->uid = tp_os_user_id();
    header->created_ns = tp_os_boottime_ns();
    header->pid_namespace = tp_os_pid_namespace();
    header->nonce = header->created_ns * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)header;
    if (program_invocation_short_name != NULL)
        strncpy(header->program, program_invocation_short_name, sizeof(header->program) - 1);
    header->state = TAGPOOL_SEGMENT_RUNNING;
}

static void segment_publish_file(int fd)
{
    segment_identify(tp_segment);
    segment_published = segment_link(fd) == 0;
    if (segment_published)
        segment_owner = tp_segment->pid;
    tp_os_close(fd);
}

void tp_segment_publish(void)
{
    int fd = __atomic_exchange_n(&segment_fd, -1, __ATOMIC_ACQ_REL);
    if (fd >= 0)
        segment_publish_file(fd);
}

void tp_segment_retire(void)
{
    if (!segment_published || segment_owner != tp_os_process_id())
        return;
    tp_poke(&tp_segment->state, TAGPOOL_SEGMENT_ENDED);
    tp_os_unlink(segment_path);
    segment_published = false;
}

/* --- fork ----------------------------------------------------------------------------------------------------- */

/* What the verifier counted belongs to the parent; what lives now, in the child as well, stays. */
static void segment_forget_verified(struct tagpool_segment_header *header)
{
    for (unsigned i = 0; i < TAGPOOL_SEGMENT_VERIFIER_PARTS; i++)
        memset(&header->verifier[i], 0, offsetof(struct tagpool_segment_verifier, live_blocks));
}

/* Header and slots as they were, without numbers: those belong to the parent. */
static void segment_copy_names(char *to)
{
    struct tagpool_segment_header *header = (struct tagpool_segment_header *)to;
    struct tagpool_segment_slot *slots = (struct tagpool_segment_slot *)(to + SEGMENT_SLOTS_AT);
    *header = *tp_segment;
    header->flags = (header->flags & TAGPOOL_SEGMENT_SLOTS_FULL) | TAGPOOL_SEGMENT_FORKED;
    header->slots_used_total = segment_slots_used;
    header->tallies_used_total = 1;
    header->quotas_used_total = 1;
    memcpy(header->region, segment_regions, sizeof(header->region));
    segment_forget_verified(header);
    memcpy(to + TAGPOOL_SEGMENT_PAGE, tp_segment_control, sizeof(*tp_segment_control));
    for (size_t i = 1; i < segment_slots_used; i++) {
        slots[i].tag = tp_segment_slots[i].tag;
        slots[i].used = tp_segment_slots[i].used;
        slots[i].kind = tp_segment_slots[i].kind;
        slots[i].face = tp_segment_slots[i].face;
        slots[i].block_size = tp_segment_slots[i].block_size;
        slots[i].depth = tp_segment_slots[i].depth;
        slots[i].maximum_depth = tp_segment_slots[i].maximum_depth;
        memcpy(slots[i].name, tp_segment_slots[i].name, sizeof(slots[i].name));
    }
}

/* Header, control page and slots of a child's own, somewhere else. */
static char *segment_make_front(size_t size)
{
    char *front = tp_os_reserve(size);
    if (front == NULL || tp_os_commit(front, size) != 0)
        return NULL;
    segment_copy_names(front);
    return front;
}

/* Private memory in place of the rows and tallies, as far as they are in use; what they hold is gone. */
static int segment_replace_rest(size_t front_size)
{
    int error = tp_os_reserve_private_at((char *)tp_segment + front_size, segment_size - front_size);
    for (unsigned i = 0; i < TAGPOOL_SEGMENT_REGIONS && error == 0; i++)
        error = segment_ready(&tp_space.rows[segment_rows_first[i]], &tp_space.rows[segment_rows_end[i]]);
    return error;
}

/* The front is swapped in one step: other threads of the child read the epoch meanwhile. */
void tp_segment_detach(void)
{
    size_t size = SEGMENT_SLOTS_AT + segment_slots_ready * sizeof(struct tagpool_segment_slot);
    char *front = segment_make_front(size);
    segment_is_file = false;
    if (front == NULL || tp_os_move(front, size, tp_segment) != 0 || segment_replace_rest(size) != 0)
        tp_fail("no memory for a child's accounts");
    if (segment_fd >= 0)
        tp_os_close(segment_fd);
    segment_fd = -1;
    segment_published = false;
    segment_detached = true;
    segment_tallies_ready = 0;
    segment_quotas_ready = 0;
}

/* What is ready must not fault later, used or not: it gets room in the file before the file is mapped. */
static int segment_copy_part(int fd, const void *from, const void *used_to, const void *ready_to)
{
    size_t offset = (size_t)((const char *)from - (const char *)tp_segment);
    size_t ready = (size_t)((const char *)ready_to - (const char *)from);
    int error = tp_os_file_reserve(fd, offset, ready);
    if (error != 0)
        return error;
    return tp_os_file_write(fd, offset, from, tp_min((size_t)((const char *)used_to - (const char *)from), ready));
}

static int segment_copy_to_file(int fd)
{
    int error = segment_copy_part(fd, tp_segment, tp_segment_slots + tp_segment->slots_used_total,
                                  tp_segment_slots + segment_slots_ready);
    if (error == 0)
        error = segment_copy_part(fd, tp_segment_tallies, tp_segment_tallies + tp_segment->tallies_used_total,
                                  tp_segment_tallies + segment_tallies_ready);
    if (error == 0)
        error = segment_copy_part(fd, tp_segment_quotas, tp_segment_quotas + tp_segment->quotas_used_total,
                                  tp_segment_quotas + segment_quotas_ready);
    for (unsigned i = 0; i < TAGPOOL_SEGMENT_REGIONS && error == 0; i++) {
        const struct tagpool_segment_row *first = &tp_space.rows[segment_rows_first[i]];
        error =
            segment_copy_part(fd, first, first + tp_segment->region[i].used_total, &tp_space.rows[segment_rows_end[i]]);
    }
    return error;
}

void tp_segment_renew(void)
{
    if (!segment_detached)
        return;
    segment_detached = false;
    int fd = tp_os_file_create(TAGPOOL_SEGMENT_DIR, segment_size);
    if (fd < 0)
        return;
    if (segment_copy_to_file(fd) != 0 || tp_os_file_map_at(fd, 0, tp_segment, segment_size) != 0) {
        tp_os_close(fd);
        return;
    }
    segment_is_file = true;
    segment_publish_file(fd);
}
