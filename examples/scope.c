/*
 * A small server: a scope for each connection, and within it one for each of its requests in turn.
 *
 * What a request needs, its header with the payload, the lines of its answer and a log file, is freed and closed by one
 * call when it is done, however far it came.  What belongs to the connection stays until that is closed, and goes with
 * it, even if a request was still open.  No line here frees a single block.
 */
#include <tagpool.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONN TAGPOOL_TAG('C', 'o', 'n', 'n')
#define REQUEST TAGPOOL_TAG('R', 'e', 'q', 's')
#define ANSWER TAGPOOL_TAG('A', 'n', 's', 'w')

enum { CONNECTIONS = 8, REQUESTS = 500, LINES = 40 };

struct connection {
    tagpool_scope_t *scope;
    tagpool_scope_t *request_scope; /* within it; reset after each request */
    char *peer;
    unsigned requests;
};

struct request {
    unsigned number;
    size_t length;
};

static unsigned files_open;
static unsigned connections_open;

static void *must(void *block)
{
    if (block == NULL) {
        perror("server");
        exit(1);
    }
    return block;
}

/* --- cleanups ------------------------------------------------------------------------------------------------- */

static void close_file(void *file)
{
    fclose(file);
    files_open--;
}

/* The connection lies in the scope that ends, and is still there. */
static void say_goodbye(void *argument)
{
    const struct connection *connection = argument;
    printf("%s: %u requests\n", connection->peer, connection->requests);
    connections_open--;
}

static void at_the_end(tagpool_scope_t *scope, void (*routine)(void *), void *argument)
{
    if (tagpool_scope_cleanup(scope, routine, argument) != 0) {
        perror("server");
        exit(1);
    }
}

/* --- a request ------------------------------------------------------------------------------------------------ */

static FILE *open_log(tagpool_scope_t *scope)
{
    FILE *file = must(fopen("/dev/null", "w"));
    files_open++;
    at_the_end(scope, close_file, file);
    return file;
}

/* Header and payload are used together: they lie in one block. */
static struct request *receive(struct connection *connection, const char *text)
{
    struct request *request;
    char *payload;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(request, 1), TAGPOOL_PART(payload, strlen(text) + 1)};
    must(tagpool_scope_bundle(connection->request_scope, TAGPOOL_PAGED, REQUEST, parts, 2));
    *request = (struct request){connection->requests++, strlen(text)};
    strcpy(payload, text);
    return request;
}

/* False: the request is broken off.  What it had is freed all the same. */
static bool answer(struct connection *connection, const struct request *request)
{
    FILE *log = open_log(connection->request_scope);
    for (unsigned i = 0; i < LINES; i++) {
        if (request->number % 7 == 6 && i == LINES / 2)
            return false;
        char *line = must(tagpool_scope_alloc(connection->request_scope, TAGPOOL_PAGED, 80, ANSWER));
        snprintf(line, 80, "line %u of the answer to request %u, %zu bytes", i, request->number, request->length);
        fprintf(log, "%s: %s\n", connection->peer, line);
    }
    return true;
}

/* --- a connection --------------------------------------------------------------------------------------------- */

static struct connection *connection_open(tagpool_scope_t *server, unsigned number)
{
    tagpool_scope_t *scope = must(tagpool_scope_create(server));
    struct connection *connection = must(tagpool_scope_zalloc(scope, TAGPOOL_PAGED, sizeof(*connection), CONN));
    connection->scope = scope;
    connection->peer = must(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 32, CONN));
    snprintf(connection->peer, 32, "192.0.2.%u", number);
    at_the_end(scope, say_goodbye, connection);
    connections_open++;
    connection->request_scope = must(tagpool_scope_create(scope));
    return connection;
}

static void print_account(const char *name, tagpool_tag_t tag)
{
    struct tagpool_stats stats;
    if (tagpool_stats(TAGPOOL_PAGED, tag, &stats) == 0)
        printf("%s  chunks %llu  live %llu chunks, %llu bytes\n", name, (unsigned long long)stats.allocs,
               (unsigned long long)(stats.allocs - stats.frees), (unsigned long long)stats.bytes);
}

static void print_accounts(void)
{
    print_account("Conn", CONN);
    print_account("Reqs", REQUEST);
    print_account("Answ", ANSWER);
    print_account("Scop", TAGPOOL_SCOPE_TAG);
}

int main(void)
{
    struct connection *connections[CONNECTIONS];
    unsigned broken_off = 0;
    tagpool_scope_t *server = must(tagpool_scope_create(NULL));
    for (unsigned i = 0; i < CONNECTIONS; i++)
        connections[i] = connection_open(server, i + 1);
    for (unsigned i = 0; i < CONNECTIONS * REQUESTS; i++) {
        struct connection *connection = connections[i % CONNECTIONS];
        broken_off += !answer(connection, receive(connection, "GET /index.html"));
        if (i < CONNECTIONS * (REQUESTS - 1)) /* the last of each stays open */
            tagpool_scope_reset(connection->request_scope);
    }
    printf("broken off %u  files open %u  connections open %u\n", broken_off, files_open, connections_open);
    print_accounts();
    tagpool_scope_destroy(connections[0]->scope); /* a client hangs up, the others go with the server */
    tagpool_scope_destroy(server);
    printf("files open %u  connections open %u\n", files_open, connections_open);
    print_accounts();
    return 0;
}
