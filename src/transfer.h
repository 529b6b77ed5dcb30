/*
 * The pieces of a request to a file: how far each got, and what follows from the result of a system call.
 *
 * X1  done <= size; done == size means that the piece is over, without an error.
 * X2  The pieces of a request follow one another in the file.
 */
#ifndef TP_TRANSFER_H
#define TP_TRANSFER_H

#include "base.h"

struct tp_transfer {
    char *address;
    size_t size;
    size_t done;
    uint64_t offset;
    unsigned buffer; /* the number of its buffer */
    int error;       /* that ended it */
    bool is_over;    /* nothing is left to ask for: all done, an error, or the end of the file */
};

/* A request to one file. */
struct tp_request {
    int fd;
    bool is_write;
    unsigned count;
    struct tp_transfer *transfers;
    uint64_t calls; /* system calls made for it */
};

/* What a system call said of the rest of a piece: bytes, or a negative errno. */
void tp_transfer_advance(const struct tp_request *request, struct tp_transfer *transfer, int64_t result);

/* Nothing is left to ask for; what comes behind a piece that ended early does not matter. */
bool tp_transfer_is_finished(const struct tp_request *request);

/* Bring the request to its end by preadv and pwritev, whatever is done of it already. */
void tp_transfer_run(struct tp_request *request);

/* Bytes done from the beginning without a gap; *error: what stopped the request there, 0 for the end of the file. */
size_t tp_transfer_join(const struct tp_request *request, int *error);

#endif
