/*
 * Write a synthetic segment for tests of the command line:
 *
 *   segment_maker [--program=NAME] [--rows=N] [--cut=BYTES] DIRECTORY SCENARIO
 *
 * print its path, and wait for the end as the program that it is about.  The scenarios are the rows of the table below.
 */
#include "segment_build.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The one that golden outputs show: five tags and a lookaside list, numbers in every place that a reader has to add
 * up.
 */
static void make_sample(struct segment_build *build)
{
    struct tagpool_segment_slot *slot = segment_build_slot(build, 1, "sqli", TAGPOOL_SEGMENT_MODULE, "libsqlite3.so.0");
    slot->allocs_total = 1000; /* folded: 600 blocks of 64 bytes are left */
    slot->frees_total = 400;
    slot->alloc_bytes_total = 64000;
    slot->free_bytes_total = 25600;
    slot->peak_bytes = 9000000;
    segment_build_row(build, 0, 1, 0, 3, 500, 100);
    segment_build_row(build, 5, 1, 1, 8, 2000, 1);
    segment_build_tally(build, 1, 1, 0, 300, 64); /* remote frees */

    slot = segment_build_slot(build, 2, "sh  ", TAGPOOL_SEGMENT_MODULE, "bash");
    segment_build_row(build, 6, 2, 0, 0, 3971107, 3971077);
    slot->peak_bytes = 4096;

    slot = segment_build_slot(build, 3, "Conn", TAGPOOL_SEGMENT_API, "connection \"table\", old");
    slot->kind = 0;
    slot->large_allocs_total = 3;
    slot->large_frees_total = 1;
    slot->large_alloc_bytes_total = 3 << 20;
    slot->large_free_bytes_total = 1 << 20;

    segment_build_slot(build, 4, "Io\x80 ", TAGPOOL_SEGMENT_API, "");
    segment_build_tally(build, 2, 4, 127, 0, 16);

    segment_build_slot(build, 5, "@005", TAGPOOL_SEGMENT_SITE, "no-such-module+0x1234");
    segment_build_row(build, 7, 5, 1, 2, 10, 10);

    segment_build_slot(build, 6, "none", TAGPOOL_SEGMENT_MODULE, "libunused.so");

    slot = segment_build_slot(build, 7, "Conn", TAGPOOL_SEGMENT_LOOKASIDE, ""); /* no tag: not in the tables */
    slot->kind = 0;
    slot->block_size = 16;
    slot->depth = 25;
    slot->maximum_depth = 256;
    slot->alloc_bytes_total = 30 * 16;
    slot->free_bytes_total = 5 * 16;
    segment_build_tally(build, 3, 7, 1000, 990, 0);

    segment_build_quota(build, 1, 0, "tenants", 0, 5000);
    segment_build_quota(build, 2, 1, "tenant \"a\"", 1 << 20, 4096)->refused_total = 3;
    build->header->touched_bytes = 12 << 20;
    build->header->metadata_bytes = 64 << 10;
}

static void make_rows(struct segment_build *build)
{
    static const char *const names[] = {"libone.so.1", "libtwo.so.2", "libthree.so.3", "libfour.so.4"};
    for (uint32_t i = 0; i < 4; i++)
        segment_build_slot(build, i + 1, (const char[]){'l', 'i', 'b', (char)('1' + i), '\0'}, TAGPOOL_SEGMENT_MODULE,
                           names[i]);
    for (uint64_t i = 0; i < build->header->row_count; i++)
        segment_build_row(build, i, (uint32_t)(i % 4) + 1, 0, 3, 1000, 500);
    build->header->touched_bytes = build->header->row_count << 16;
}

static void make_incomplete(struct segment_build *build)
{
    make_sample(build);
    build->header->flags = TAGPOOL_SEGMENT_INCOMPLETE | TAGPOOL_SEGMENT_SLOTS_FULL;
}

static void make_moving(struct segment_build *build)
{
    make_sample(build);
    build->slots[1].sequence = 1;
    build->slots[2].sequence = 3;
}

static void make_ended(struct segment_build *build)
{
    build->header->state = TAGPOOL_SEGMENT_ENDED;
}

/* Names that try to steer the terminal. */
static void make_rude(struct segment_build *build)
{
    make_sample(build);
    memset(build->slots[1].name, 'x', sizeof(build->slots[1].name)); /* no NUL */
    memcpy(build->slots[2].name, "a\x1b[31m\nb\xff\"\\", 11);
    memset(build->header->program, '\x07', sizeof(build->header->program));
}

/* Valid, with counts that reach as far as they can. */
static void make_greedy(struct segment_build *build)
{
    make_sample(build);
    build->header->slots_used_total = UINT32_MAX;
    build->header->tallies_used_total = UINT32_MAX;
    build->header->region[0].used_total = UINT64_MAX;
    build->header->region[1] = (struct tagpool_segment_region){UINT64_MAX, UINT64_MAX};
}

static void make_no_magic(struct segment_build *build)
{
    build->header->magic = 0;
}

static void make_newer(struct segment_build *build)
{
    build->header->version = TAGPOOL_SEGMENT_VERSION + 1;
}

static void make_far_slots(struct segment_build *build)
{
    build->header->slots_offset = UINT64_MAX - 255;
}

static void make_many_rows(struct segment_build *build)
{
    build->header->row_count = UINT64_MAX / sizeof(struct tagpool_segment_row) + 2;
}

static void make_empty(struct segment_build *build)
{
    (void)build;
}

static const struct scenario {
    const char *name;
    void (*make)(struct segment_build *build);
} scenarios[] = {
    {"sample", make_sample},   {"rows", make_rows},           {"incomplete", make_incomplete},
    {"moving", make_moving},   {"ended", make_ended},         {"rude", make_rude},
    {"greedy", make_greedy},   {"no-magic", make_no_magic},   {"newer", make_newer},
    {"far-slots", make_far_slots}, {"many-rows", make_many_rows}, {"empty", make_empty},
};

struct request {
    const char *program;
    uint64_t rows;
    off_t cut;
};

static int maker_usage(void)
{
    fputs("usage: segment_maker [--program=NAME] [--rows=N] [--cut=BYTES] DIRECTORY SCENARIO\n", stderr);
    return 2;
}

static int maker_parse(struct request *request, int argc, char **argv)
{
    static const struct option words[] = {
        {"program", required_argument, NULL, 'n'},
        {"rows", required_argument, NULL, 'r'},
        {"cut", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    for (int code; (code = getopt_long(argc, argv, "", words, NULL)) != -1;) {
        if (code == 'n')
            request->program = optarg;
        else if (code == 'r')
            request->rows = strtoull(optarg, NULL, 10);
        else if (code == 'c')
            request->cut = atoll(optarg);
        else
            return -1;
    }
    return argc - optind == 2 ? 0 : -1;
}

/* 0 or -errno. */
static int maker_write(const struct request *request, const char *directory, const struct scenario *scenario)
{
    struct segment_build build;
    char *path;
    segment_build_init(&build, 64, 64, request->rows);
    segment_build_identify(&build, getpid(), request->program);
    scenario->make(&build);
    int error = segment_build_write(&build, directory, &path);
    if (error == 0 && (segment_build_map(path) == NULL || (request->cut >= 0 && truncate(path, request->cut) != 0)))
        error = -errno;
    if (error == 0)
        puts(path);
    else
        fprintf(stderr, "segment_maker: %s: %s\n", directory, strerror(-error));
    free(path);
    segment_build_free(&build);
    return error;
}

int main(int argc, char **argv)
{
    struct request request = {.program = "sleep", .rows = 64, .cut = -1};
    const struct scenario *scenario = NULL;
    if (maker_parse(&request, argc, argv) != 0)
        return maker_usage();
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        if (strcmp(scenarios[i].name, argv[optind + 1]) == 0)
            scenario = &scenarios[i];
    if (scenario == NULL)
        return maker_usage();
    if (maker_write(&request, argv[optind], scenario) != 0 || fflush(stdout) != 0)
        return 1;
    pause();
    return 0;
}
