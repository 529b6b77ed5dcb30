#include "uring.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

/* The functions of liburing; what else its header has is inline and calls none. */
static struct {
    __typeof__(&io_uring_queue_init) queue_init;
    __typeof__(&io_uring_queue_exit) queue_exit;
    __typeof__(&io_uring_ring_dontfork) ring_dontfork;
    __typeof__(&io_uring_register_buffers) register_buffers;
    __typeof__(&io_uring_unregister_buffers) unregister_buffers;
    __typeof__(&io_uring_submit_and_wait) submit_and_wait;
    bool is_there;
} uring_library;

static void uring_load(void)
{
    void *library = dlopen("liburing.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        dlerror(); /* the program did not ask for it, and need not hear of it */
        return;
    }
    uring_library.queue_init = dlsym(library, "io_uring_queue_init");
    uring_library.queue_exit = dlsym(library, "io_uring_queue_exit");
    uring_library.ring_dontfork = dlsym(library, "io_uring_ring_dontfork");
    uring_library.register_buffers = dlsym(library, "io_uring_register_buffers");
    uring_library.unregister_buffers = dlsym(library, "io_uring_unregister_buffers");
    uring_library.submit_and_wait = dlsym(library, "io_uring_submit_and_wait");
    uring_library.is_there = uring_library.queue_init != NULL && uring_library.queue_exit != NULL &&
                             uring_library.ring_dontfork != NULL && uring_library.register_buffers != NULL &&
                             uring_library.unregister_buffers != NULL && uring_library.submit_and_wait != NULL;
}

/* What failed once is tried again for the next pool: it may have been for want of a descriptor. */
static bool uring_is_loaded(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!uring_library.is_there)
        uring_load();
    bool is_there = uring_library.is_there;
    pthread_mutex_unlock(&lock);
    return is_there;
}

int tp_uring_open(struct tp_uring *uring, const struct iovec *buffers, unsigned count)
{
    if (!uring_is_loaded())
        return -ELIBACC;
    int error = uring_library.queue_init(count, &uring->ring, 0);
    if (error != 0)
        return error;
    uring_library.ring_dontfork(&uring->ring);
    error = uring_library.register_buffers(&uring->ring, buffers, count);
    if (error != 0)
        uring_library.queue_exit(&uring->ring);
    return error;
}

/*
 * Buffers first: a forked child may hold the descriptor, and with it the ring, for long.  When that fails, the program
 * has closed our descriptor, and the number may be that of a file of its own: that is left alone.
 */
void tp_uring_close(struct tp_uring *uring)
{
    if (uring_library.unregister_buffers(&uring->ring) != 0)
        uring->ring.ring_fd = -1;
    uring_library.queue_exit(&uring->ring);
}

static void uring_add(struct tp_uring *uring, const struct tp_request *request, unsigned index)
{
    const struct tp_transfer *transfer = &request->transfers[index];
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    TP_ASSERT(entry != NULL, "R1");
    io_uring_prep_rw(request->is_write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED, entry, request->fd,
                     transfer->address + transfer->done, (unsigned)(transfer->size - transfer->done),
                     transfer->offset + transfer->done);
    entry->buf_index = (uint16_t)transfer->buffer;
    io_uring_sqe_set_data64(entry, index);
}

/* What has come back; how many. */
static unsigned uring_reap(struct tp_uring *uring, struct tp_request *request)
{
    struct io_uring_cqe *entry;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&uring->ring, head, entry)
    {
        tp_transfer_advance(request, &request->transfers[io_uring_cqe_get_data64(entry)], entry->res);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count;
}

/*
 * The ring takes no more calls.  What it had taken before is still under way, and comes back through the memory that we
 * share with it.
 */
static void uring_drain(struct tp_uring *uring, struct tp_request *request, unsigned pending)
{
    unsigned never_submitted = io_uring_sq_ready(&uring->ring);
    while (pending > never_submitted) {
        sched_yield();
        pending -= uring_reap(uring, request);
    }
}

int tp_uring_run(struct tp_uring *uring, struct tp_request *request)
{
    unsigned pending = 0;
    for (unsigned i = 0; i < request->count; i++)
        if (!request->transfers[i].is_over) {
            uring_add(uring, request, i);
            pending++;
        }
    while (pending > 0) {
        int result = uring_library.submit_and_wait(&uring->ring, pending);
        bool is_taken = pending > io_uring_sq_ready(&uring->ring);
        request->calls++;
        pending -= uring_reap(uring, request);
        /* Interrupted, or short of memory until something comes back. */
        if (result >= 0 || result == -EINTR || (is_taken && (result == -EAGAIN || result == -EBUSY)))
            continue;
        uring_drain(uring, request, pending);
        return result;
    }
    return 0;
}
