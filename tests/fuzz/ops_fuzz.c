/*
 * Bytes as allocator operations, on the engine with every invariant checked.
 *
 * Built with -fsanitize=fuzzer the first function is all there is; else main() feeds it random bytes for some seconds
 * (TAGPOOL_SECONDS, TAGPOOL_SEED), or the contents of the files it is given.
 *
 * Three bytes an operation: what to do, with which block, and how large.  What must hold is held by the checks of the
 * engine itself, by the contents of each block, and by the accounts at the end of an input.
 */
#include "dice.h"

#include <tagpool/tagpool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PLACES = 64, TAGS = 5 };

static struct place {
    unsigned char *block;
    size_t size;
    unsigned tag;
} places[PLACES];

static uint64_t allocs[TAGS], frees[TAGS];

static tagpool_tag_t tag_at(unsigned tag)
{
    return TAGPOOL_TAG('F', 'u', 'z', '0' + tag);
}

static tagpool_kind_t kind_at(unsigned tag)
{
    return tag == TAGS - 1 ? TAGPOOL_NONPAGED : TAGPOOL_PAGED;
}

static void require(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "ops_fuzz: %s\n", what);
    abort();
}

/* Steps of one below a kilobyte, then wider ones, up to three megabytes. */
static size_t size_of_byte(unsigned byte, unsigned more)
{
    if (byte < 128)
        return (size_t)byte * 8 + more % 8;
    return (size_t)1 << (10 + (byte - 128) / 11) | (size_t)more * 37;
}

static void check_contents(const struct place *place, size_t size)
{
    unsigned char mark = (unsigned char)(place - places + 1);
    require(size == 0 || (place->block[0] == mark && place->block[size / 2] == mark && place->block[size - 1] == mark),
            "contents");
}

static void fill(struct place *place)
{
    place->size = tagpool_size(place->block);
    memset(place->block, (int)(place - places + 1), place->size);
    require(tagpool_tag_of(place->block) == tag_at(place->tag), "tag");
}

static void take(struct place *place, unsigned tag, size_t size, unsigned how)
{
    size_t alignment = (size_t)1 << how % 17;
    place->tag = tag;
    if (how % 4 == 0)
        place->block = tagpool_alloc_aligned(kind_at(tag), alignment, size, tag_at(tag));
    else if (how % 4 == 1)
        place->block = tagpool_zalloc(kind_at(tag), size, tag_at(tag));
    else if (how % 4 == 2)
        place->block = tagpool_handle_alloc(tagpool_open(kind_at(tag), tag_at(tag)), size);
    else
        place->block = tagpool_alloc(kind_at(tag), size, tag_at(tag));
    if (place->block == NULL)
        return;
    require(how % 4 != 0 || (uintptr_t)place->block % alignment == 0, "alignment");
    require(how % 4 != 1 || size == 0 || (place->block[0] | place->block[size - 1]) == 0, "zero");
    allocs[tag]++;
    fill(place);
}

static void give(struct place *place)
{
    check_contents(place, place->size);
    tagpool_free_tag(place->block, tag_at(place->tag));
    frees[place->tag]++;
    place->block = NULL;
}

static void resize(struct place *place, size_t size)
{
    unsigned char *moved = tagpool_realloc(place->block, size);
    if (moved == NULL) {
        check_contents(place, place->size);
        return;
    }
    allocs[place->tag] += moved != place->block;
    frees[place->tag] += moved != place->block;
    place->block = moved;
    check_contents(place, size < place->size ? size : place->size);
    fill(place);
}

static void operate(unsigned what, unsigned which, unsigned amount)
{
    struct place *place = &places[which % PLACES];
    size_t size = size_of_byte(amount, what ^ which);
    if (place->block == NULL)
        take(place, what % TAGS, size, what / TAGS);
    else if (what % 4 == 0)
        resize(place, size);
    else
        give(place);
}

/* Everything back, and counted as often as it was given. */
static void settle(void)
{
    for (int i = 0; i < PLACES; i++)
        if (places[i].block != NULL)
            give(&places[i]);
    for (unsigned tag = 0; tag < TAGS; tag++) {
        struct tagpool_stats stats;
        if (allocs[tag] == 0)
            continue;
        require(tagpool_stats(kind_at(tag), tag_at(tag), &stats) == 0, "stats");
        require(stats.allocs == allocs[tag] && stats.frees == frees[tag] && stats.bytes == 0, "accounts");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 2 < size; i += 3)
        operate(data[i], data[i + 1], data[i + 2]);
    settle();
    return 0;
}

#ifndef FUZZ_WITHOUT_MAIN

enum { INPUT_MOST = 30000 };
static uint8_t input[INPUT_MOST];

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 1;
    size_t size = fread(input, 1, sizeof(input), file);
    fclose(file);
    return LLVMFuzzerTestOneInput(input, size);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    if (argc > 1)
        return failed;
    struct dice dice = dice_from_environment();
    time_t end = time(NULL) + (time_t)dice_setting("TAGPOOL_SECONDS", 5);
    unsigned long inputs = 0;
    do {
        size_t size = dice_below(&dice, INPUT_MOST);
        for (size_t i = 0; i < size; i++)
            input[i] = (uint8_t)(dice_roll(&dice) >> 40);
        LLVMFuzzerTestOneInput(input, size);
        inputs++;
    } while (time(NULL) < end);
    printf("%lu inputs\n", inputs);
    return 0;
}

#endif
