/*
 * A server that lives on when allocations fail, for switching_test.py: listens on the loopback, prints its port.
 *
 *   set KEY SIZE SEED     keeps SIZE bytes that follow from SEED        ok | no memory
 *   get KEY               checks them, in a copy                        SIZE SEED | nothing | no memory | wrong
 *   failures              how many allocations failed so far            N
 *   quit                  frees all, and ends                           ALLOCS FREES BYTES of its tag
 *
 * Each thread serves a connection until its end, and then another.  Blocks have the tag Item; all else was made before.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tagpool.h>
#include <unistd.h>

#define SERVER_TAG TAGPOOL_TAG('I', 't', 'e', 'm')
#define SERVER_KEYS 1024
#define SERVER_THREADS 8
#define SERVER_LINE 128

struct item {
    uint64_t sum;
    uint32_t size, seed;
    unsigned char bytes[];
};

static struct entry {
    pthread_mutex_t mutex;
    struct item *item;
} entries[SERVER_KEYS];

static uint64_t failures_total;
static int server_fd;

/* --- items ---------------------------------------------------------------------------------------------------- */

static uint64_t item_sum(const struct item *item)
{
    uint64_t sum = item->size * UINT64_C(31) + item->seed;
    for (uint32_t i = 0; i < item->size; i++)
        sum = (sum ^ item->bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static struct item *item_alloc(uint32_t size)
{
    struct item *item = tagpool_alloc(TAGPOOL_PAGED, sizeof(*item) + size, SERVER_TAG);
    if (item == NULL)
        __atomic_fetch_add(&failures_total, 1, __ATOMIC_RELAXED);
    return item;
}

static struct item *item_make(uint32_t size, uint32_t seed)
{
    struct item *item = item_alloc(size);
    if (item == NULL)
        return NULL;
    item->size = size;
    item->seed = seed;
    for (uint32_t i = 0; i < size; i++)
        item->bytes[i] = (unsigned char)((seed += i * 2654435761u) >> 24);
    item->sum = item_sum(item);
    return item;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static void answer_set(unsigned key, uint32_t size, uint32_t seed, char *answer)
{
    struct item *item = item_make(size, seed);
    strcpy(answer, item == NULL ? "no memory" : "ok");
    if (item == NULL)
        return;
    pthread_mutex_lock(&entries[key].mutex);
    struct item *before = entries[key].item;
    entries[key].item = item;
    pthread_mutex_unlock(&entries[key].mutex);
    tagpool_free_tag(before, SERVER_TAG);
}

static void answer_copy(const struct item *item, char *answer)
{
    struct item *copy = item_alloc(item->size);
    strcpy(answer, "no memory");
    if (copy == NULL)
        return;
    memcpy(copy, item, sizeof(*item) + item->size);
    if (item_sum(copy) != copy->sum)
        strcpy(answer, "wrong");
    else
        snprintf(answer, SERVER_LINE, "%u %u", copy->size, copy->seed);
    tagpool_free_tag(copy, SERVER_TAG);
}

static void answer_get(unsigned key, char *answer)
{
    strcpy(answer, "nothing");
    pthread_mutex_lock(&entries[key].mutex);
    if (entries[key].item != NULL)
        answer_copy(entries[key].item, answer);
    pthread_mutex_unlock(&entries[key].mutex);
}

static void answer_quit(char *answer)
{
    struct tagpool_stats stats = {0};
    for (unsigned key = 0; key < SERVER_KEYS; key++) {
        tagpool_free_tag(entries[key].item, SERVER_TAG);
        entries[key].item = NULL;
    }
    tagpool_stats(TAGPOOL_PAGED, SERVER_TAG, &stats);
    snprintf(answer, SERVER_LINE, "%llu %llu %llu", (unsigned long long)stats.allocs, (unsigned long long)stats.frees,
             (unsigned long long)stats.bytes);
}

/* False: it was the last one. */
static int answer_line(const char *line, char *answer)
{
    unsigned key = 0, size, seed;
    strcpy(answer, "what?");
    if (strcmp(line, "failures") == 0)
        snprintf(answer, SERVER_LINE, "%llu", (unsigned long long)__atomic_load_n(&failures_total, __ATOMIC_RELAXED));
    else if (sscanf(line, "set %u %u %u", &key, &size, &seed) == 3 && key < SERVER_KEYS)
        answer_set(key, size, seed, answer);
    else if (sscanf(line, "get %u", &key) == 1 && key < SERVER_KEYS)
        answer_get(key, answer);
    else if (strcmp(line, "quit") == 0)
        answer_quit(answer);
    return strcmp(line, "quit") != 0;
}

/* --- connections ---------------------------------------------------------------------------------------------- */

/* A line without its end; -1: there are no more. */
static int read_line(int fd, char *line)
{
    for (size_t length = 0; length < SERVER_LINE; length++) {
        if (read(fd, line + length, 1) != 1)
            return -1;
        if (line[length] == '\n') {
            line[length] = '\0';
            return 0;
        }
    }
    return -1;
}

static void serve(int fd)
{
    char line[SERVER_LINE], answer[SERVER_LINE + 1];
    while (read_line(fd, line) == 0) {
        int goes_on = answer_line(line, answer);
        strcat(answer, "\n");
        if (write(fd, answer, strlen(answer)) < 0)
            break;
        if (!goes_on)
            exit(0);
    }
    close(fd);
}

static void *work(void *unused)
{
    for (;;)
        serve(accept(server_fd, NULL, NULL));
    return unused;
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    pthread_t threads[SERVER_THREADS];
    server_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (server_fd < 0 || bind(server_fd, (struct sockaddr *)&address, length) != 0 || listen(server_fd, 16) != 0 ||
        getsockname(server_fd, (struct sockaddr *)&address, &length) != 0)
        return 1;
    for (size_t i = 0; i < SERVER_KEYS; i++)
        pthread_mutex_init(&entries[i].mutex, NULL);
    for (size_t i = 0; i < SERVER_THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_join(threads[0], NULL);
    return 0;
}
