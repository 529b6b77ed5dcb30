/*
 * Requests on a lookaside list: each is made once, and reused with its buffer.
 *
 * A request holds a buffer, which costs more to make than the request itself.  The constructor allocates it when a
 * request comes from the pool, and the destructor frees it when one goes back there; in between a request goes in and
 * out of the list with its buffer.  The list lies within the server that it belongs to, and its routines find the
 * server by their context.
 */
#include <tagpool.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUEST TAGPOOL_TAG('R', 'e', 'q', 's')
#define BUFFER TAGPOOL_TAG('B', 'u', 'f', 's')

enum { BUFFER_SIZE = 8192, AT_ONCE = 24, ROUNDS = 2000 };

struct server {
    tagpool_lookaside_t requests;
    unsigned buffers_made;
};

struct request {
    unsigned number;
    char *buffer;
};

static int request_construct(tagpool_lookaside_t *list, void *block)
{
    struct server *server = tagpool_lookaside_context(list);
    struct request *request = block;
    request->buffer = tagpool_alloc(TAGPOOL_PAGED, BUFFER_SIZE, BUFFER);
    if (request->buffer == NULL)
        return errno;
    server->buffers_made++;
    return 0;
}

static void request_destruct(tagpool_lookaside_t *list, void *block)
{
    (void)list;
    struct request *request = block;
    tagpool_free_tag(request->buffer, BUFFER);
}

static void serve(struct server *server, unsigned round)
{
    struct request *requests[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        requests[i] = tagpool_lookaside_alloc(&server->requests);
        if (requests[i] == NULL) {
            perror("request");
            exit(1);
        }
        requests[i]->number = round * AT_ONCE + i;
        snprintf(requests[i]->buffer, BUFFER_SIZE, "answer to %u", requests[i]->number);
    }
    for (unsigned i = 0; i < AT_ONCE; i++)
        tagpool_lookaside_free(&server->requests, requests[i]);
}

int main(void)
{
    struct server server = {.buffers_made = 0};
    const tagpool_lookaside_options_t options = {
        .kind = TAGPOOL_PAGED,
        .tag = REQUEST,
        .size = sizeof(struct request),
        .context = &server,
        .construct = request_construct,
        .destruct = request_destruct,
    };
    if (tagpool_lookaside_init(&server.requests, &options) != 0) {
        perror("lookaside list");
        return 1;
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        serve(&server, round);

    tagpool_lookaside_stats_t stats;
    tagpool_lookaside_stats(&server.requests, &stats);
    printf("requests %llu  from the pool %llu  kept %llu  depth %u of %u  buffers made %u\n",
           (unsigned long long)stats.total_allocates, (unsigned long long)stats.allocate_misses,
           (unsigned long long)stats.cached, stats.depth, stats.maximum_depth, server.buffers_made);
    printf("still out %zu\n", tagpool_lookaside_destroy(&server.requests));
    return 0;
}
