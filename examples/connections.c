/*
 * A table of connections on tagged pools: who holds the memory can be seen while it runs.
 *
 *   connections             a few thousand steps, then the accounts
 *   connections 20          the same for 20 seconds: watch it by `tagpool top` in another terminal
 *
 * Each connection is a block tagged "Conn".  What a client sent and nobody has read yet lies in a block tagged "Buff",
 * which grows with it.  Both tags are looked up once, as handles, because connections come and go all the time.
 */
#include <tagpool.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONN TAGPOOL_TAG('C', 'o', 'n', 'n')
#define BUFF TAGPOOL_TAG('B', 'u', 'f', 'f')

enum {
    TABLE_SIZE = 4096,   /* connections at once */
    BUFFER_FIRST = 512,  /* bytes a connection begins with */
    BUFFER_MOST = 65536, /* a client that sends more without being read is cut off */
    STEPS_A_ROUND = 2000,
    ROUNDS_PLAIN = 10,
};

struct connection {
    char peer[48];
    char *buffer;
    size_t used;
    size_t size;
};

static struct connection *table[TABLE_SIZE];
static tagpool_handle_t conn_pool;
static tagpool_handle_t buff_pool;

/* NULL when memory is exhausted. */
static struct connection *connection_open(unsigned number)
{
    struct connection *connection = tagpool_handle_zalloc(conn_pool, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->buffer = tagpool_handle_alloc(buff_pool, BUFFER_FIRST);
    if (connection->buffer == NULL) {
        tagpool_free_tag(connection, CONN);
        return NULL;
    }
    connection->size = tagpool_size(connection->buffer);
    snprintf(connection->peer, sizeof(connection->peer), "192.0.2.%u:%u", number % 254 + 1, 1024 + number % 60000);
    return connection;
}

static void connection_close(struct connection *connection)
{
    tagpool_free_tag(connection->buffer, BUFF);
    tagpool_free_tag(connection, CONN);
}

/* Room for `more` bytes; false when there is none to be had.  The block keeps its tag when it moves. */
static bool connection_reserve(struct connection *connection, size_t more)
{
    if (connection->used + more <= connection->size)
        return true;
    if (connection->used + more > BUFFER_MOST)
        return false;
    char *longer = tagpool_realloc(connection->buffer, 2 * (connection->used + more));
    if (longer == NULL)
        return false;
    connection->buffer = longer;
    connection->size = tagpool_size(longer);
    return true;
}

/* A client has sent something; false: cut it off. */
static bool connection_receive(struct connection *connection, size_t length)
{
    if (!connection_reserve(connection, length))
        return false;
    memset(connection->buffer + connection->used, 'x', length);
    connection->used += length;
    return true;
}

/* --- the load ------------------------------------------------------------------------------------------------- */

/* One event at one place of the table: somebody connects, sends, is read from, or goes. */
static void table_step(void)
{
    struct connection **place = &table[rand() % TABLE_SIZE];
    int event = rand() % 16;
    if (*place == NULL)
        *place = connection_open((unsigned)rand());
    else if (event == 0 || !connection_receive(*place, 1 + (size_t)(rand() % 900))) {
        connection_close(*place);
        *place = NULL;
    } else if (event < 4)
        (*place)->used = 0;
}

static void table_close(void)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i] != NULL)
            connection_close(table[i]);
    memset(table, 0, sizeof(table));
}

static void table_run(double seconds)
{
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 10 * 1000 * 1000};
    time_t end = time(NULL) + (time_t)seconds;
    for (int round = 0; round < ROUNDS_PLAIN || time(NULL) < end; round++) {
        for (int i = 0; i < STEPS_A_ROUND; i++)
            table_step();
        if (seconds > 0)
            nanosleep(&pause, NULL);
    }
}

/* --- the accounts --------------------------------------------------------------------------------------------- */

static void print_account(const char *name, tagpool_tag_t tag)
{
    struct tagpool_stats stats;
    if (tagpool_stats(TAGPOOL_PAGED, tag, &stats) != 0) {
        printf("%s  nothing was ever allocated\n", name);
        return;
    }
    printf("%s  allocs %llu  frees %llu  live %llu blocks, %llu bytes  peak %llu bytes\n", name,
           (unsigned long long)stats.allocs, (unsigned long long)stats.frees,
           (unsigned long long)(stats.allocs - stats.frees), (unsigned long long)stats.bytes,
           (unsigned long long)stats.peak_bytes);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0;
    conn_pool = tagpool_open(TAGPOOL_PAGED, CONN);
    buff_pool = tagpool_open(TAGPOOL_PAGED, BUFF);
    table_run(seconds);
    print_account("Conn", CONN);
    print_account("Buff", BUFF);
    table_close();
    print_account("Conn", CONN);
    print_account("Buff", BUFF);
    return 0;
}
