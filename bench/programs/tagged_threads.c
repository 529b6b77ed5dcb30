/*
 * Many threads, each with one live block of each of many tags: tagged_threads [THREADS [TAGS]].
 *
 * Prints the resident memory while all of that is alive: threads times tags must not cost a page each.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <tagpool.h>
#include <unistd.h>

#define BLOCK_SIZE 64
#define STACK_SIZE ((size_t)64 << 10)

static pthread_barrier_t all_allocated, measured;
static unsigned long tag_count = 1000;

static tagpool_tag_t tag_of(unsigned long i)
{
    return TAGPOOL_TAG('t', '0' + (char)(i / 100 % 10), '0' + (char)(i / 10 % 10), '0' + (char)(i % 10));
}

static void *one_of_each(void *unused)
{
    void **blocks = tagpool_alloc(TAGPOOL_PAGED, tag_count * sizeof(*blocks), TAGPOOL_TAG('L', 'i', 's', 't'));
    (void)unused;
    if (blocks == NULL)
        abort();
    for (unsigned long i = 0; i < tag_count; i++) {
        blocks[i] = tagpool_alloc(TAGPOOL_PAGED, BLOCK_SIZE, tag_of(i));
        if (blocks[i] == NULL)
            abort();
        *(char *)blocks[i] = 1;
    }
    pthread_barrier_wait(&all_allocated);
    pthread_barrier_wait(&measured);
    for (unsigned long i = 0; i < tag_count; i++)
        tagpool_free(blocks[i]);
    tagpool_free(blocks);
    return NULL;
}

/* Resident memory of this process, shared pages of the accounts included. */
static long resident_kib(void)
{
    long size, resident;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL || fscanf(statm, "%ld %ld", &size, &resident) != 2)
        abort();
    fclose(statm);
    return resident * sysconf(_SC_PAGESIZE) / 1024;
}

static void start(pthread_t *thread)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (pthread_create(thread, &attributes, one_of_each, NULL) != 0)
        abort();
    pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 64;
    pthread_t threads[count];
    if (argc > 2)
        tag_count = strtoul(argv[2], NULL, 10);
    long before = resident_kib();
    pthread_barrier_init(&all_allocated, NULL, count + 1);
    pthread_barrier_init(&measured, NULL, count + 1);
    for (unsigned i = 0; i < count; i++)
        start(&threads[i]);
    pthread_barrier_wait(&all_allocated);
    printf("before_kib %ld\nresident_kib %ld\n", before, resident_kib());
    pthread_barrier_wait(&measured);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
