/*
 * Pools of I/O buffers (include/tagpool/iobuf.h).
 *
 *   buffers   nonpaged blocks of the tag, one each, by address; free ones on a stack
 *   own       what is this process's alone: the turn, and the ring.  A forked child finds it zeroed
 *
 * B1  A buffer is on the free stack or out, and who takes it off the stack alone marks it as out.
 * B2  Requests use the ring and the transfers in their turn.  Buffers of a copying request are free again at its end,
 * so who has the turn and finds none free knows that callers hold them all.
 *
 * Lock: the turn, a mutex of each pool, held during I/O.  No lock of the engine is held then, and the free stack needs
 * none, so that getting and putting buffers never waits for a request.
 */
#include <tagpool/iobuf.h>

#include "alloc.h"
#include "free.h"
#include "metadata.h"
#include "pool.h"
#include "start.h"
#include "uring.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define IOBUF_NONE UINT32_MAX

struct iobuf_buffer {
    char *address;
    uint32_t below; /* the next on the free stack */
    uint32_t is_out;
};

/* Zeros are a mutex that nobody holds, and no ring. */
struct iobuf_own {
    pthread_mutex_t turn;
    bool has_ring;
    struct tp_uring uring;
};
_Static_assert(sizeof(struct iobuf_own) <= TP_OS_PAGE, "own");

struct tagpool_iobuf {
    size_t buffer_size;
    uint32_t count;               /* of buffers; fewer than wanted while the pool is made */
    uint32_t max_count;           /* elements of the arrays */
    struct iobuf_buffer *buffers; /* by address */
    struct tp_transfer *transfers;
    struct iobuf_own *own;
    uint64_t free; /* the stack: its top, and above that a number that each change makes another */
    uint32_t out;
    int uring_error;
    uint64_t requests_total;
    uint64_t pieces_total;
    uint64_t calls_total;
    uint64_t bytes_read_total;
    uint64_t bytes_written_total;
};

/* --- the free stack ------------------------------------------------------------------------------------------- */

static uint64_t stack_with_top(uint64_t stack, uint32_t top)
{
    return ((stack >> 32) + 1) << 32 | top;
}

static void stack_push(tagpool_iobuf_t *pool, uint32_t index)
{
    uint64_t stack = __atomic_load_n(&pool->free, __ATOMIC_RELAXED);
    do {
        tp_poke(&pool->buffers[index].below, (uint32_t)stack);
    } while (!__atomic_compare_exchange_n(&pool->free, &stack, stack_with_top(stack, index), true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

static uint32_t stack_pop(tagpool_iobuf_t *pool)
{
    uint64_t stack = __atomic_load_n(&pool->free, __ATOMIC_ACQUIRE);
    uint32_t below;
    do {
        if ((uint32_t)stack == IOBUF_NONE)
            return IOBUF_NONE;
        below = tp_peek(&pool->buffers[(uint32_t)stack].below);
    } while (!__atomic_compare_exchange_n(&pool->free, &stack, stack_with_top(stack, below), true, __ATOMIC_ACQUIRE,
                                          __ATOMIC_ACQUIRE));
    return (uint32_t)stack;
}

/* --- buffers -------------------------------------------------------------------------------------------------- */

/* The buffer that an address lies in, or IOBUF_NONE. */
static uint32_t buffer_around(const tagpool_iobuf_t *pool, const void *address)
{
    uint32_t first = 0;
    uint32_t end = pool->count;
    while (end - first > 1) {
        uint32_t middle = first + (end - first) / 2;
        if ((uintptr_t)pool->buffers[middle].address <= (uintptr_t)address)
            first = middle;
        else
            end = middle;
    }
    uintptr_t begin = (uintptr_t)pool->buffers[first].address;
    return (uintptr_t)address - begin < pool->buffer_size ? first : IOBUF_NONE;
}

/* The number of a free buffer, now out; IOBUF_NONE: there is none. */
static uint32_t buffer_take(tagpool_iobuf_t *pool)
{
    uint32_t index = stack_pop(pool);
    if (index != IOBUF_NONE) {
        __atomic_store_n(&pool->buffers[index].is_out, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&pool->out, 1, __ATOMIC_RELAXED);
    }
    return index;
}

/* False: it was not out. */
static bool buffer_give(tagpool_iobuf_t *pool, uint32_t index)
{
    if (__atomic_exchange_n(&pool->buffers[index].is_out, 0, __ATOMIC_RELAXED) == 0)
        return false;
    __atomic_fetch_sub(&pool->out, 1, __ATOMIC_RELAXED);
    stack_push(pool, index);
    return true;
}

void *tagpool_iobuf_get(tagpool_iobuf_t *pool)
{
    uint32_t index = buffer_take(pool);
    if (index != IOBUF_NONE)
        return pool->buffers[index].address;
    errno = ENOBUFS;
    return NULL;
}

int tagpool_iobuf_put(tagpool_iobuf_t *pool, void *buffer)
{
    if (buffer == NULL)
        return 0;
    uint32_t index = buffer_around(pool, buffer);
    if (index != IOBUF_NONE && pool->buffers[index].address == buffer && buffer_give(pool, index))
        return 0;
    errno = EINVAL;
    return -1;
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static size_t pieces_for(const tagpool_iobuf_t *pool, size_t size)
{
    return size / pool->buffer_size + (size % pool->buffer_size != 0);
}

int tagpool_iobuf_get_list(tagpool_iobuf_t *pool, size_t size, tagpool_iobuf_list_t *list)
{
    tagpool_iobuf_list_t taken = {.pieces = list->pieces, .room = list->room};
    if (pieces_for(pool, size) > tp_min(pool->count, list->room)) {
        errno = EMSGSIZE;
        return -1;
    }
    for (size_t left = size; left > 0; left -= taken.pieces[taken.count - 1].iov_len) {
        void *buffer = tagpool_iobuf_get(pool);
        if (buffer == NULL) {
            tagpool_iobuf_put_list(pool, &taken);
            errno = ENOBUFS;
            return -1;
        }
        taken.pieces[taken.count++] = (struct iovec){buffer, tp_min(left, pool->buffer_size)};
    }
    *list = taken;
    return 0;
}

int tagpool_iobuf_put_list(tagpool_iobuf_t *pool, tagpool_iobuf_list_t *list)
{
    int result = 0;
    for (unsigned i = list->count; i > 0; i--)
        if (tagpool_iobuf_put(pool, list->pieces[i - 1].iov_base) != 0)
            result = -1;
    list->count = 0;
    return result;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

/*
 * Wait for the turn.  preadv and its kin are places where a thread may be cancelled, and who held the turn would keep
 * it; returns what to leave with.
 */
static int turn_enter(tagpool_iobuf_t *pool)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&pool->own->turn);
    return cancel_state;
}

static void turn_leave(tagpool_iobuf_t *pool, int cancel_state)
{
    pthread_mutex_unlock(&pool->own->turn);
    pthread_setcancelstate(cancel_state, NULL);
}

/* The ring does not work any more (the program closed its descriptor, say): go on without. */
static void ring_lose(tagpool_iobuf_t *pool, int error)
{
    tp_poke(&pool->uring_error, error);
    tp_poke(&pool->own->has_ring, false);
    tp_uring_close(&pool->own->uring);
}

/*
 * As far as the ring comes.  A rest that it does not move at all is left to plain calls: for a file that is O_NONBLOCK
 * it may say EAGAIN for ever.
 */
static void request_run_on_ring(tagpool_iobuf_t *pool, struct tp_request *request)
{
    size_t done = 0;
    size_t before;
    int ignored;
    do {
        int error = tp_uring_run(&pool->own->uring, request);
        if (error != 0) {
            ring_lose(pool, -error);
            return;
        }
        before = done;
        done = tp_transfer_join(request, &ignored);
    } while (done > before && !tp_transfer_is_finished(request));
}

/* Bytes done from the beginning without a gap, and what stopped the request there. */
static size_t request_run(tagpool_iobuf_t *pool, struct tp_request *request, int *error)
{
    request->calls = 0;
    if (pool->own->has_ring)
        request_run_on_ring(pool, request);
    tp_transfer_run(request);
    size_t done = tp_transfer_join(request, error);
    __atomic_fetch_add(&pool->pieces_total, request->count, __ATOMIC_RELAXED);
    __atomic_fetch_add(&pool->calls_total, request->calls, __ATOMIC_RELAXED);
    return done;
}

static bool request_is_valid(int fd, size_t size, uint64_t offset)
{
    const uint64_t end = INT64_MAX - TAGPOOL_IOBUF_ALIGNMENT; /* a read's last piece may be longer by that much */
    if (offset > end || size > end - offset) {
        errno = EINVAL;
        return false;
    }
    return lseek(fd, 0, SEEK_CUR) >= 0;
}

static ssize_t request_result(tagpool_iobuf_t *pool, bool is_write, size_t done, size_t wanted, int error)
{
    __atomic_fetch_add(&pool->requests_total, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(is_write ? &pool->bytes_written_total : &pool->bytes_read_total, done, __ATOMIC_RELAXED);
    if (done < wanted)
        errno = error;
    return done == 0 && error != 0 && wanted > 0 ? -1 : (ssize_t)done;
}

/* --- from and to lists ---------------------------------------------------------------------------------------- */

static bool piece_to_transfer(const tagpool_iobuf_t *pool, const struct iovec *piece, struct tp_transfer *transfer)
{
    uint32_t index = buffer_around(pool, piece->iov_base);
    if (index == IOBUF_NONE || tp_peek(&pool->buffers[index].is_out) == 0)
        return false;
    size_t before = (size_t)((char *)piece->iov_base - pool->buffers[index].address);
    *transfer = (struct tp_transfer){
        .address = piece->iov_base, .size = piece->iov_len, .buffer = index, .is_over = piece->iov_len == 0};
    return piece->iov_len <= pool->buffer_size - before;
}

/* The bytes of the list; SIZE_MAX, which no request may have, when it is none of this pool's. */
static size_t list_to_request(const tagpool_iobuf_t *pool, const tagpool_iobuf_list_t *list, uint64_t offset,
                              struct tp_request *request)
{
    size_t size = 0;
    if (list->count > pool->count)
        return SIZE_MAX;
    for (request->count = 0; request->count < list->count; request->count++) {
        struct tp_transfer *transfer = &request->transfers[request->count];
        if (!piece_to_transfer(pool, &list->pieces[request->count], transfer))
            return SIZE_MAX;
        transfer->offset = offset + size;
        size += transfer->size;
    }
    return size;
}

static ssize_t list_run(tagpool_iobuf_t *pool, int fd, const tagpool_iobuf_list_t *list, uint64_t offset, bool is_write)
{
    struct tp_request request = {.fd = fd, .is_write = is_write, .transfers = pool->transfers};
    ssize_t result = -1;
    int error;
    int cancel_state = turn_enter(pool);
    size_t size = list_to_request(pool, list, offset, &request);
    if (request_is_valid(fd, size, offset)) {
        size_t done = request_run(pool, &request, &error);
        result = request_result(pool, is_write, done, size, error);
    }
    turn_leave(pool, cancel_state);
    return result;
}

ssize_t tagpool_iobuf_read_list(tagpool_iobuf_t *pool, int fd, const tagpool_iobuf_list_t *list, uint64_t offset)
{
    return list_run(pool, fd, list, offset, false);
}

ssize_t tagpool_iobuf_write_list(tagpool_iobuf_t *pool, int fd, const tagpool_iobuf_list_t *list, uint64_t offset)
{
    return list_run(pool, fd, list, offset, true);
}

/* --- from and to plain memory --------------------------------------------------------------------------------- */

/* What is left of a copying request. */
struct iobuf_copy {
    char *memory;
    size_t size;
    uint64_t offset;
    int error; /* that stopped it */
    bool is_over;
};

/*
 * Free buffers for as much of the rest as there are; returns how much.  A read's last one gets whole OS pages, so that
 * O_DIRECT takes it.
 */
static size_t copy_take(tagpool_iobuf_t *pool, struct tp_request *request, const struct iobuf_copy *copy)
{
    uint32_t index;
    size_t at = 0;
    for (request->count = 0; at < copy->size && (index = buffer_take(pool)) != IOBUF_NONE; request->count++) {
        size_t wanted = tp_min(copy->size - at, pool->buffer_size);
        request->transfers[request->count] = (struct tp_transfer){
            .address = pool->buffers[index].address,
            .size = request->is_write ? wanted : tp_round_up(wanted, TAGPOOL_IOBUF_ALIGNMENT),
            .offset = copy->offset + at,
            .buffer = index,
        };
        at += wanted;
    }
    return at;
}

static void copy_give(tagpool_iobuf_t *pool, const struct tp_request *request)
{
    for (unsigned i = request->count; i > 0; i--)
        buffer_give(pool, request->transfers[i - 1].buffer);
}

/* Between the buffers and the caller's memory. */
static void copy_bytes(const struct tp_request *request, char *memory, size_t size)
{
    for (const struct tp_transfer *transfer = request->transfers; size > 0; transfer++) {
        size_t part = tp_min(size, transfer->size);
        if (request->is_write)
            memcpy(transfer->address, memory, part);
        else
            memcpy(memory, transfer->address, part);
        memory += part;
        size -= part;
    }
}

/* One round: as much as the free buffers hold. */
static void copy_round(tagpool_iobuf_t *pool, struct tp_request *request, struct iobuf_copy *copy)
{
    size_t size = copy_take(pool, request, copy);
    if (size == 0) {
        copy->error = ENOBUFS; /* B2 */
        copy->is_over = true;
        return;
    }
    if (request->is_write)
        copy_bytes(request, copy->memory, size);
    size_t done = tp_min(size, request_run(pool, request, &copy->error));
    if (!request->is_write)
        copy_bytes(request, copy->memory, done);
    copy_give(pool, request);
    copy->memory += done;
    copy->offset += done;
    copy->size -= done;
    copy->is_over = done < size || copy->size == 0;
}

static ssize_t copy_run(tagpool_iobuf_t *pool, int fd, void *memory, size_t size, uint64_t offset, bool is_write)
{
    struct tp_request request = {.fd = fd, .is_write = is_write, .transfers = pool->transfers};
    struct iobuf_copy copy = {.memory = memory, .size = size, .offset = offset, .is_over = size == 0};
    if (!request_is_valid(fd, size, offset))
        return -1;
    int cancel_state = turn_enter(pool);
    while (!copy.is_over)
        copy_round(pool, &request, &copy);
    turn_leave(pool, cancel_state);
    return request_result(pool, is_write, size - copy.size, size, copy.error);
}

ssize_t tagpool_iobuf_read(tagpool_iobuf_t *pool, int fd, void *to, size_t size, uint64_t offset)
{
    return copy_run(pool, fd, to, size, offset, false);
}

ssize_t tagpool_iobuf_write(tagpool_iobuf_t *pool, int fd, const void *from, size_t size, uint64_t offset)
{
    return copy_run(pool, fd, (void *)(uintptr_t)from, size, offset, true);
}

/* --- create and destroy --------------------------------------------------------------------------------------- */

static bool options_are_valid(const tagpool_iobuf_options_t *options)
{
    bool size_is_valid = options->buffer_size > 0 && options->buffer_size % TAGPOOL_IOBUF_ALIGNMENT == 0 &&
                         options->buffer_size <= TAGPOOL_IOBUF_SIZE_MAX;
    if (!size_is_valid || options->count == 0 || options->count > TAGPOOL_IOBUF_COUNT_MAX) {
        errno = EINVAL;
        return false;
    }
    return tp_pool_is_valid(TAGPOOL_NONPAGED, options->tag);
}

/* One OS page that a forked child finds zeroed. */
static struct iobuf_own *own_create(void)
{
    void *own = tp_os_reserve(TP_OS_PAGE);
    if (own != NULL && (tp_os_commit(own, TP_OS_PAGE) != 0 || tp_os_wipe_on_fork(own, TP_OS_PAGE) != 0)) {
        tp_os_release(own, TP_OS_PAGE);
        own = NULL;
    }
    return own;
}

/* Keep the buffers in the order of their addresses; they come nearly so. */
static void buffers_insert(tagpool_iobuf_t *pool, char *address)
{
    uint32_t i = pool->count++;
    for (; i > 0 && pool->buffers[i - 1].address > address; i--)
        pool->buffers[i] = pool->buffers[i - 1];
    pool->buffers[i] = (struct iobuf_buffer){.address = address};
}

static bool buffers_make(tagpool_iobuf_t *pool, tagpool_tag_t tag)
{
    struct tp_thread *thread = tp_thread_self();
    uint32_t slot = tp_tag_open(tag, tp_pool_layout(TAGPOOL_NONPAGED));
    while (pool->count < pool->max_count) {
        char *address = tp_alloc(thread, slot, pool->buffer_size, TAGPOOL_IOBUF_ALIGNMENT);
        if (address == NULL)
            return false;
        buffers_insert(pool, address);
    }
    pool->free = IOBUF_NONE;
    for (uint32_t i = pool->count; i > 0; i--)
        stack_push(pool, i - 1);
    return true;
}

static int ring_open(tagpool_iobuf_t *pool)
{
    size_t size = pool->count * sizeof(struct iovec);
    struct iovec *vectors = tp_metadata_alloc(size);
    if (vectors == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < pool->count; i++)
        vectors[i] = (struct iovec){pool->buffers[i].address, pool->buffer_size};
    int error = tp_uring_open(&pool->own->uring, vectors, pool->count);
    tp_metadata_free(vectors, size);
    return error;
}

static bool pool_make(tagpool_iobuf_t *pool, const tagpool_iobuf_options_t *options)
{
    pool->buffer_size = options->buffer_size;
    pool->max_count = options->count;
    pool->buffers = tp_metadata_alloc(options->count * sizeof(pool->buffers[0]));
    pool->transfers = tp_metadata_alloc(options->count * sizeof(pool->transfers[0]));
    pool->own = own_create();
    if (pool->buffers == NULL || pool->transfers == NULL || pool->own == NULL || !buffers_make(pool, options->tag))
        return false;
    pool->uring_error = -ring_open(pool);
    pool->own->has_ring = pool->uring_error == 0;
    return true;
}

tagpool_iobuf_t *tagpool_iobuf_create(const tagpool_iobuf_options_t *options)
{
    if (!options_are_valid(options))
        return NULL;
    tp_start_may_publish();
    tp_thread_self();
    tagpool_iobuf_t *pool = tp_metadata_alloc(sizeof(*pool));
    if (pool != NULL && pool_make(pool, options))
        return pool;
    tagpool_iobuf_destroy(pool);
    errno = ENOMEM;
    return NULL;
}

/* Free the buffers that are not out; the number of those that are. */
static size_t buffers_free(tagpool_iobuf_t *pool)
{
    size_t out = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->buffers[i].is_out)
            out++;
        else
            tp_free_slow(pool->buffers[i].address);
    }
    return out;
}

size_t tagpool_iobuf_destroy(tagpool_iobuf_t *pool)
{
    if (pool == NULL)
        return 0;
    tp_thread_self();
    if (pool->own != NULL && pool->own->has_ring)
        tp_uring_close(&pool->own->uring);
    size_t out = buffers_free(pool);
    if (pool->own != NULL)
        tp_os_release(pool->own, TP_OS_PAGE);
    if (pool->buffers != NULL)
        tp_metadata_free(pool->buffers, pool->max_count * sizeof(pool->buffers[0]));
    if (pool->transfers != NULL)
        tp_metadata_free(pool->transfers, pool->max_count * sizeof(pool->transfers[0]));
    tp_metadata_free(pool, sizeof(*pool));
    return out;
}

/* --- statistics ----------------------------------------------------------------------------------------------- */

/* In a forked child the ring is gone without an error. */
static int pool_uring_error(const tagpool_iobuf_t *pool)
{
    int error = tp_peek(&pool->uring_error);
    if (tp_peek(&pool->own->has_ring))
        return 0;
    return error != 0 ? error : ECHILD;
}

void tagpool_iobuf_stats(const tagpool_iobuf_t *pool, tagpool_iobuf_stats_t *stats)
{
    *stats = (tagpool_iobuf_stats_t){
        .count = pool->count,
        .out = tp_peek(&pool->out),
        .uring_error = pool_uring_error(pool),
        .requests = tp_peek(&pool->requests_total),
        .pieces = tp_peek(&pool->pieces_total),
        .calls = tp_peek(&pool->calls_total),
        .bytes_read = tp_peek(&pool->bytes_read_total),
        .bytes_written = tp_peek(&pool->bytes_written_total),
    };
}
