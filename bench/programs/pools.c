/*
 * Nanoseconds a block of what the six tips recommend, beside what they replace: pools ROUNDS.
 *
 *   single    blocks of 24 to 400 bytes, allocated and freed one by one
 *   scope     the same from a scope that is reset
 *   three     three structures, each with a block of its own
 *   bundle    the same in one block
 *   none      blocks of 64 bytes, without a limit
 *   far       the same under a tag whose limit is far away
 *   near      the same beyond the tag's soft limit, where each call is counted
 *   charged   the same, charged to a quota account under another one
 *
 * A hundred are allocated, then freed; the forms take turns.  Prints a line each: name, median.
 */
#include "bench.h"

#include <tagpool.h>

#define BLOCKS 100
#define STEPS 20

static const size_t sizes[] = {24, 120, 48, 400, 64, 96, 32, 200};
#define SIZE_OF(i) sizes[(i) % (sizeof(sizes) / sizeof(sizes[0]))]

static tagpool_handle_t plain, far_away, near_by, charged;
static tagpool_scope_t *scope;

/* --- the forms ------------------------------------------------------------------------------------------------ */

static void run_single(void)
{
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        *(char *)(blocks[i] = bench_got(tagpool_handle_alloc(plain, SIZE_OF(i)))) = 1;
    for (size_t i = 0; i < BLOCKS; i++)
        tagpool_free(blocks[i]);
}

static void run_scope(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        *(char *)bench_got(tagpool_scope_alloc(scope, TAGPOOL_PAGED, SIZE_OF(i), TAGPOOL_TAG('S', 'c', 'p', 'e'))) = 1;
    tagpool_scope_reset(scope);
}

struct parts {
    char *request, *header, *payload;
};

static void run_three(void)
{
    struct parts parts[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        *(parts[i].request = bench_got(tagpool_handle_alloc(plain, 120))) = 1;
        *(parts[i].header = bench_got(tagpool_handle_alloc(plain, 48))) = 1;
        *(parts[i].payload = bench_got(tagpool_handle_alloc(plain, 400))) = 1;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        tagpool_free(parts[i].payload);
        tagpool_free(parts[i].header);
        tagpool_free(parts[i].request);
    }
}

static void run_bundle(void)
{
    struct parts parts[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        const struct tagpool_bundle_part bundle[] = {
            {.size = 120, .count = 1, .alignment = 16, .place = &parts[i].request},
            {.size = 48, .count = 1, .alignment = 16, .place = &parts[i].header},
            {.size = 400, .count = 1, .alignment = 16, .place = &parts[i].payload},
        };
        bench_got(tagpool_bundle_alloc(TAGPOOL_PAGED, TAGPOOL_TAG('B', 'n', 'd', 'l'), bundle, 3));
        *parts[i].request = *parts[i].header = *parts[i].payload = 1;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        tagpool_free(parts[i].request);
}

static void run_calls(tagpool_handle_t handle)
{
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        *(char *)(blocks[i] = bench_got(tagpool_handle_alloc(handle, 64))) = 1;
    for (size_t i = 0; i < BLOCKS; i++)
        tagpool_free(blocks[i]);
}

static void run_none(void)
{
    run_calls(plain);
}

static void run_far(void)
{
    run_calls(far_away);
}

static void run_near(void)
{
    run_calls(near_by);
}

static void run_charged(void)
{
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        *(char *)(blocks[i] = bench_got(tagpool_handle_alloc_flags(charged, 64, TAGPOOL_CHARGE))) = 1;
    for (size_t i = 0; i < BLOCKS; i++)
        tagpool_free(blocks[i]);
}

static struct form {
    const char *name;
    void (*run)(void);
    double *ns; /* a round each */
} forms[] = {
    {"single", run_single, NULL},
    {"scope", run_scope, NULL},
    {"three", run_three, NULL},
    {"bundle", run_bundle, NULL},
    {"none", run_none, NULL},
    {"far", run_far, NULL},
    {"near", run_near, NULL},
    {"charged", run_charged, NULL},
};
enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

/* --- the race ------------------------------------------------------------------------------------------------- */

static double measure(const struct form *form)
{
    double started = bench_now();
    for (int i = 0; i < STEPS; i++)
        form->run();
    return (bench_now() - started) * 1e9 / STEPS / BLOCKS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int set_limit(tagpool_tag_t tag, uint64_t soft)
{
    const tagpool_limit_t limit = {.soft = soft, .hard = 1 << 30};
    return tagpool_limit_tag(TAGPOOL_PAGED, tag, &limit);
}

/* A page that runs empty at each free would be a case of its own: one block of each size stays. */
static void keep_blocks(void)
{
    const tagpool_handle_t handles[] = {plain, far_away, near_by, charged,
                                        tagpool_open(TAGPOOL_PAGED, TAGPOOL_TAG('B', 'n', 'd', 'l'))};
    for (size_t h = 0; h < sizeof(handles) / sizeof(handles[0]); h++)
        for (size_t size = 16; size < 800; size += 16)
            bench_got(tagpool_handle_alloc(handles[h], size));
}

/* The near tag holds something, beyond its soft limit: so it is counted call by call. */
static void prepare(void)
{
    tagpool_tag_t far_tag = TAGPOOL_TAG('F', 'a', 'r', ' '), near_tag = TAGPOOL_TAG('N', 'e', 'a', 'r');
    plain = tagpool_open(TAGPOOL_PAGED, TAGPOOL_TAG('P', 'l', 'a', 'n'));
    far_away = tagpool_open(TAGPOOL_PAGED, far_tag);
    near_by = tagpool_open(TAGPOOL_PAGED, near_tag);
    charged = tagpool_open(TAGPOOL_PAGED, TAGPOOL_TAG('C', 'h', 'r', 'g'));
    scope = bench_got(tagpool_scope_create(NULL));
    tagpool_quota_t *root = bench_got(tagpool_quota_create(NULL, "all", NULL));
    tagpool_quota_t *leaf = bench_got(tagpool_quota_create(root, "one", NULL));
    bench_got(tagpool_handle_alloc(near_by, 1 << 20));
    if (set_limit(far_tag, 0) != 0 || set_limit(near_tag, 4096) != 0 || tagpool_quota_attach(leaf) != 0)
        abort();
    for (int i = 0; i < 200; i++)
        for (int form = 0; form < FORMS; form++)
            measure(&forms[form]);
    keep_blocks();
}

/* Block bytes of the three structures, each by itself and together. */
static void print_bytes(void)
{
    char *parts[3];
    const size_t part_sizes[] = {120, 48, 400};
    struct tagpool_bundle_part bundle[3];
    size_t apart = 0;
    for (int i = 0; i < 3; i++) {
        bundle[i] =
            (struct tagpool_bundle_part){.size = part_sizes[i], .count = 1, .alignment = 16, .place = &parts[i]};
        apart += tagpool_size(bench_got(tagpool_handle_alloc(plain, part_sizes[i])));
    }
    void *block = bench_got(tagpool_bundle_alloc(TAGPOOL_PAGED, TAGPOOL_TAG('B', 'n', 'd', 'l'), bundle, 3));
    printf("apart %zu\ntogether %zu\n", apart, tagpool_size(block));
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 101;
    if (rounds == 0)
        return 2;
    prepare();
    for (int i = 0; i < FORMS; i++)
        forms[i].ns = bench_got(calloc(rounds, sizeof(double)));
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < FORMS; i++) {
            struct form *form = &forms[(i + round) % FORMS];
            form->ns[round] = measure(form);
        }
    for (int i = 0; i < FORMS; i++) {
        qsort(forms[i].ns, rounds, sizeof(double), compare);
        printf("%s %.3f\n", forms[i].name, forms[i].ns[rounds / 2]);
    }
    print_bytes();
    return 0;
}
