/*
 * Y1 to Y3: one request of a run, each stack in one run, and names that recursion does not multiply.
 */
#include "unit.h"

#include "stack.h"
#include "start.h"
#include "systematic.h"

#include <tagpool.h>
#include <tagpool/claims.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('S', 'y', 's', 't')

enum { SITES = 6, CAPACITY = 1024, THREADS = 8 };

/* ---- a file of claims ---- */

static char path[64];

static struct tagpool_claims *claims_create(uint32_t magic, uint32_t capacity, size_t room)
{
    size_t size = sizeof(struct tagpool_claims) + room * sizeof(uint64_t);
    snprintf(path, sizeof(path), "/tmp/systematic_test.%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    struct tagpool_claims *claims = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(claims != MAP_FAILED);
    close(fd);
    claims->magic = magic;
    claims->capacity = capacity;
    return claims;
}

static struct tagpool_claims *claims_make(void)
{
    return claims_create(TAGPOOL_CLAIMS_MAGIC, CAPACITY, CAPACITY);
}

static const char *words_of(int run)
{
    static char words[128];
    snprintf(words, sizeof(words), "systematic=%s:%d", path, run);
    return words;
}

/* ---- a program ---- */

#define SITE(n)                                                                                                        \
    static __attribute__((noinline)) bool site_##n(void)                                                               \
    {                                                                                                                  \
        void *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);                                                          \
        bool is_good = block != NULL;                                                                                  \
        tagpool_free(block);                                                                                           \
        return is_good;                                                                                                \
    }
SITE(0)
SITE(1)
SITE(2)
SITE(3)
SITE(4)
SITE(5)
static bool (*const sites[SITES])(void) = {site_0, site_1, site_2, site_3, site_4, site_5};

/* Bits of the sites that failed, each called three times. */
static unsigned go_through(void)
{
    unsigned failed = 0, failures = 0;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < SITES; i++)
            if (!sites[i]()) {
                failed |= 1u << i;
                failures++;
            }
    return failures <= 1 ? failed : 1u << SITES;
}

/* One way to all sites, wherever it is called: nothing outside of it is the same in another test. */
static __attribute__((noinline)) void be_run(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    unsigned failed = go_through();
    tp_start_end();
    _exit((int)failed);
}

static pid_t start(const char *words)
{
    pid_t child = fork();
    if (child == 0)
        be_run(words);
    return child;
}

static pid_t start_run(int run)
{
    return start(words_of(run));
}

static unsigned end_run(pid_t child)
{
    int status;
    ck_assert(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (unsigned)WEXITSTATUS(status);
}

/* ---- names ---- */

static uint64_t hash_of(const char *letters)
{
    uintptr_t frames[TP_STACK_FRAMES];
    unsigned count = 0;
    for (; letters[count] != '\0' && count < TP_STACK_FRAMES; count++)
        frames[count] = (uintptr_t)&hash_of + (uintptr_t)letters[count];
    return tp_systematic_hash(frames, count);
}

START_TEST(recursion_makes_no_new_stacks)
{
    ck_assert_uint_eq(hash_of("abababxyz"), hash_of("abxyz"));
    ck_assert_uint_eq(hash_of("aaaabbbxyz"), hash_of("abxyz"));
    ck_assert_uint_eq(hash_of("abbabaxyz"), hash_of("abxyz"));
    ck_assert_uint_ne(hash_of("abxyz"), hash_of("baxyz"));
    ck_assert_uint_ne(hash_of("abxyz"), hash_of("abxy"));
    ck_assert_uint_ne(hash_of(""), 0);
}
END_TEST

START_TEST(recursion_that_is_too_deep_counts_alone)
{
    char letters[TP_STACK_FRAMES + 1] = "";
    for (int i = 0; i < TP_STACK_FRAMES; i++)
        letters[i] = i % 2 == 0 ? 'a' : 'b';
    uint64_t alone = hash_of(letters);
    ck_assert_uint_eq(alone, hash_of("ab"));
    memcpy(letters + TP_STACK_FRAMES - 3, "xyz", 3);
    ck_assert_uint_eq(hash_of(letters), alone);
    letters[TP_STACK_FRAMES - 5] = '\0'; /* it is seen to its end: what calls it counts */
    memcpy(letters + TP_STACK_FRAMES - 8, "xyz", 3);
    ck_assert_uint_eq(hash_of(letters), hash_of("abxyz"));
}
END_TEST

/* ---- runs ---- */

START_TEST(each_stack_fails_in_one_run)
{
    struct tagpool_claims *claims = claims_make();
    for (int run = 0; run < SITES; run++) {
        ck_assert_uint_eq(end_run(start_run(run)), 1u << run);
        ck_assert_uint_ne(claims->runs[run].hash, 0);
        ck_assert_uint_eq(claims->runs[run].is_over, 1);
    }
    ck_assert_uint_eq(end_run(start_run(SITES)), 0);
    ck_assert_uint_eq(claims->runs[SITES].hash, 0);
    unlink(path);
}
END_TEST

START_TEST(runs_side_by_side_share_nothing_but_what_is_done)
{
    pid_t children[SITES + 2];
    unsigned failed = 0;
    claims_make();
    for (int run = 0; run < SITES + 2; run++)
        children[run] = start_run(run);
    for (int run = 0; run < SITES + 2; run++) {
        unsigned one = end_run(children[run]);
        ck_assert_uint_eq(failed & one, 0);
        failed |= one;
    }
    ck_assert_uint_eq(failed, (1u << SITES) - 1);
    unlink(path);
}
END_TEST

START_TEST(children_belong_to_the_run)
{
    struct tagpool_claims *claims = claims_make();
    pid_t child = fork();
    if (child == 0) {
        setenv("TAGPOOL_VERIFY", words_of(0), 1);
        unsigned of_child = end_run(start_run(0));
        _exit((int)(of_child | go_through() << 4));
    }
    ck_assert_uint_eq(end_run(child), 1);
    ck_assert_uint_ne(claims->runs[0].hash, 0);
    ck_assert_uint_ne(claims->runs[0].pid, (uint32_t)child);
    ck_assert_uint_eq(claims->runs[0].is_over, 1);
    unlink(path);
}
END_TEST

START_TEST(one_that_is_named_fails_alone)
{
    struct tagpool_claims *claims = claims_make();
    char words[128];
    for (int run = 0; run < 2 * SITES; run++) {
        if (run < SITES)
            snprintf(words, sizeof(words), "%s", words_of(run));
        else
            snprintf(words, sizeof(words), "systematic-only=%016llx",
                     (unsigned long long)claims->runs[run - SITES].hash);
        ck_assert_uint_eq(end_run(start(words)), 1u << run % SITES);
    }
    unlink(path);
}
END_TEST

START_TEST(none_fails_where_none_is_named)
{
    ck_assert_uint_eq(end_run(start("systematic-only=0")), 0);
}
END_TEST

START_TEST(other_tags_pass)
{
    char words[128];
    claims_make();
    snprintf(words, sizeof(words), "systematic=%s:0 tags=Nope", path);
    ck_assert_uint_eq(end_run(start(words)), 0);
    unlink(path);
}
END_TEST

START_TEST(a_full_table_lets_pass)
{
    struct tagpool_claims *claims = claims_create(TAGPOOL_CLAIMS_MAGIC, 2, 2);
    for (int run = 0; run < 3; run++)
        ck_assert_uint_eq(end_run(start_run(run)), run < 2 ? 1u << run : 0);
    ck_assert_uint_eq(claims->runs[2].hash, 0);
    unlink(path);
}
END_TEST

START_TEST(what_is_no_file_of_claims_is_left_alone)
{
    claims_create(0, CAPACITY, CAPACITY);
    ck_assert_uint_eq(end_run(start_run(0)), 0);
    claims_create(TAGPOOL_CLAIMS_MAGIC, 1000, CAPACITY);
    ck_assert_uint_eq(end_run(start_run(0)), 0);
    claims_create(TAGPOOL_CLAIMS_MAGIC, CAPACITY, CAPACITY - 1);
    ck_assert_uint_eq(end_run(start_run(0)), 0);
    claims_make();
    ck_assert_uint_eq(end_run(start_run(TAGPOOL_CLAIMS_RUNS)), 0);
    ck_assert_uint_eq(end_run(start_run(0)), 1);
    unlink(path);
    ck_assert_uint_eq(end_run(start_run(0)), 0);
}
END_TEST

/* ---- threads ---- */

static pthread_barrier_t barrier;
static unsigned failures;

static void *be_thread(void *argument)
{
    pthread_barrier_wait(&barrier);
    unsigned failed = 0;
    for (int i = 0; i < 1000; i++)
        failed += !sites[(i + (int)(uintptr_t)argument) % SITES]();
    __atomic_fetch_add(&failures, failed, __ATOMIC_RELAXED);
    return NULL;
}

START_TEST(one_request_of_all_threads_fails)
{
    pthread_t threads[THREADS];
    struct tagpool_claims *claims = claims_make();
    setenv("TAGPOOL_VERIFY", words_of(0), 1);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, be_thread, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(failures, 1);
    ck_assert_uint_eq(claims->runs[0].pid, (uint32_t)getpid());
    unlink(path);
}
END_TEST

UNIT_MAIN("systematic", recursion_makes_no_new_stacks, recursion_that_is_too_deep_counts_alone,
          each_stack_fails_in_one_run, runs_side_by_side_share_nothing_but_what_is_done, children_belong_to_the_run,
          one_that_is_named_fails_alone, none_fails_where_none_is_named, other_tags_pass, a_full_table_lets_pass,
          what_is_no_file_of_claims_is_left_alone, one_request_of_all_threads_fails)
