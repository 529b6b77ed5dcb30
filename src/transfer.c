#include "transfer.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

/* Pieces for one call: few enough for any stack. */
#define TRANSFER_BATCH 64u

/* No logical block is smaller. */
#define TRANSFER_SECTOR 512u

static void transfer_end(struct tp_transfer *transfer, int error)
{
    transfer->is_over = true;
    transfer->error = error;
}

/*
 * A read that goes on from an odd place was short there: the file ends.  With O_DIRECT some file systems say so by 0,
 * and some only see the odd place.
 */
static bool transfer_is_at_end(const struct tp_request *request, const struct tp_transfer *transfer, int64_t result)
{
    return !request->is_write && (result == 0 || (result == -EINVAL && transfer->done % TRANSFER_SECTOR != 0));
}

void tp_transfer_advance(const struct tp_request *request, struct tp_transfer *transfer, int64_t result)
{
    if (result == -EINTR || result == -EAGAIN)
        return;
    if (transfer_is_at_end(request, transfer, result)) {
        transfer_end(transfer, 0);
    } else if (result <= 0) {
        transfer_end(transfer, result < 0 ? (int)-result : EIO);
    } else {
        transfer->done += (size_t)result;
        transfer->is_over = transfer->done == transfer->size;
        TP_ASSERT(transfer->done <= transfer->size, "X1");
    }
}

/* The first piece that is not over; count: there is none, or one before it ended early, so it no longer matters. */
static unsigned transfer_first(const struct tp_request *request)
{
    unsigned i = 0;
    while (i < request->count && request->transfers[i].done == request->transfers[i].size)
        i++;
    return i < request->count && !request->transfers[i].is_over ? i : request->count;
}

bool tp_transfer_is_finished(const struct tp_request *request)
{
    return transfer_first(request) == request->count;
}

static unsigned transfer_gather(const struct tp_request *request, unsigned first, unsigned most, struct iovec *vectors)
{
    unsigned count = 0;
    for (unsigned i = first; i < request->count && count < most && !request->transfers[i].is_over; i++) {
        const struct tp_transfer *transfer = &request->transfers[i];
        if (i > first && transfer->done > 0)
            break;
        vectors[count++] = (struct iovec){transfer->address + transfer->done, transfer->size - transfer->done};
    }
    return count;
}

static int64_t transfer_call(struct tp_request *request, const struct tp_transfer *first, const struct iovec *vectors,
                             unsigned count)
{
    off_t offset = (off_t)(first->offset + first->done);
    ssize_t result = request->is_write ? pwritev(request->fd, vectors, (int)count, offset)
                                       : preadv(request->fd, vectors, (int)count, offset);
    request->calls++;
    return result >= 0 ? result : -errno;
}

/* Bytes of one call among the pieces it was for. */
static void transfer_share(const struct tp_request *request, struct tp_transfer *transfer, int64_t result)
{
    do {
        int64_t part = result <= 0 ? result : (int64_t)tp_min((size_t)result, transfer->size - transfer->done);
        tp_transfer_advance(request, transfer++, part);
        result -= part;
    } while (result > 0);
}

static void transfer_wait(const struct tp_request *request)
{
    struct pollfd ready = {.fd = request->fd, .events = request->is_write ? POLLOUT : POLLIN};
    poll(&ready, 1, -1);
}

void tp_transfer_run(struct tp_request *request)
{
    struct iovec vectors[TRANSFER_BATCH];
    unsigned most = TRANSFER_BATCH;
    unsigned first;
    while ((first = transfer_first(request)) < request->count) {
        struct tp_transfer *transfer = &request->transfers[first];
        unsigned count = transfer_gather(request, first, most, vectors);
        int64_t result = transfer_call(request, transfer, vectors, count);
        if (result == -EAGAIN)
            transfer_wait(request);
        else if (result < 0 && result != -EINTR && count > 1)
            most = 1; /* one of them is refused: go on one by one, to come as far as io_uring does */
        else
            transfer_share(request, transfer, result);
    }
}

size_t tp_transfer_join(const struct tp_request *request, int *error)
{
    size_t done = 0;
    *error = 0;
    for (unsigned i = 0; i < request->count; i++) {
        const struct tp_transfer *transfer = &request->transfers[i];
        done += transfer->done;
        if (transfer->done < transfer->size) {
            *error = transfer->error;
            break;
        }
    }
    return done;
}
