/*
 * A mistake at a site that is called all the time: planted NUMBER [SEED [right]].
 *
 * Prints MISSED and exits with 0 when the mistake went by.  A seed other than 0 has it strike somewhat later; `right`
 * makes the twin without the mistake, which prints RIGHT.  `planted` alone lists what there is: number, kind, strike.
 *
 * One function allocates all blocks; 64 of them live, and each is filled and read as a program would.  The n-th is
 * where the mistake strikes.  The compiler knows neither the functions nor the offsets, so it can leave nothing out.
 */
#include "bench.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PLANTED_LIVE 64
#define PLANTED_SEEDS UINT64_C(0x9e3779b97f4a7c15)

enum planted_kind {
    WRITE_BEYOND,
    READ_BEYOND,
    WRITE_BEFORE,
    READ_FREED,
    WRITE_FREED,
    FREE_TWICE,
    FREE_MIDDLE,
    WRONG_FUNCTION, /* malloc, then delete */
    WRONG_SIZE,     /* new, then delete of another size */
    COPY_BEYOND,
    STRING_BEYOND,
};

static const char *const planted_names[] = {
    [WRITE_BEYOND] = "write-beyond",     [READ_BEYOND] = "read-beyond",     [WRITE_BEFORE] = "write-before",
    [READ_FREED] = "read-freed",         [WRITE_FREED] = "write-freed",     [FREE_TWICE] = "free-twice",
    [FREE_MIDDLE] = "free-middle",       [WRONG_SIZE] = "wrong-size",       [COPY_BEYOND] = "copy-beyond",
    [WRONG_FUNCTION] = "wrong-function", [STRING_BEYOND] = "string-beyond",
};

/*
 * strike: which allocation of the site; size: of its blocks, in bytes
 * at: offset from the block's end (beyond) or beginning (before, freed, middle); bytes too many (copy, size)
 * later: allocations of the site between the free and what follows it
 */
static const struct planted {
    enum planted_kind kind;
    uint32_t strike, size;
    int32_t at;
    uint32_t later;
} planted_all[] = {
    {WRITE_BEYOND, 1000, 48, 0, 0},  {WRITE_BEYOND, 100000, 160, 40, 0}, {WRITE_BEYOND, 1000000, 32, 8, 0},
    {READ_BEYOND, 10, 64, 0, 0},     {READ_BEYOND, 100000, 96, 8, 0},    {READ_BEYOND, 1000000, 256, 24, 0},
    {WRITE_BEFORE, 10, 64, -1, 0},   {WRITE_BEFORE, 1000, 112, -8, 0},   {WRITE_BEFORE, 1000000, 32, -4, 0},
    {READ_FREED, 10, 80, 0, 0},      {READ_FREED, 1000, 200, 64, 20},    {READ_FREED, 100000, 48, 8, 0},
    {WRITE_FREED, 1000, 64, 16, 20}, {WRITE_FREED, 100000, 320, 8, 0},   {WRITE_FREED, 1000000, 48, 0, 5},
    {FREE_TWICE, 10, 32, 0, 0},      {FREE_TWICE, 100000, 128, 0, 20},   {FREE_TWICE, 1000000, 64, 0, 0},
    {FREE_MIDDLE, 10, 96, 16, 0},    {FREE_MIDDLE, 1000, 64, 8, 0},      {FREE_MIDDLE, 1000000, 512, 64, 0},
    {WRONG_FUNCTION, 10, 40, 0, 0},  {WRONG_SIZE, 1000, 72, 16, 0},      {WRONG_FUNCTION, 100000, 200, 0, 0},
    {COPY_BEYOND, 1000, 64, 16, 0},  {COPY_BEYOND, 100000, 128, 1, 0},   {COPY_BEYOND, 1000000, 48, 64, 0},
    {STRING_BEYOND, 10, 24, 1, 0},   {STRING_BEYOND, 100000, 33, 1, 0},  {STRING_BEYOND, 1000000, 32, 1, 0},
};

#define PLANTED_COUNT (sizeof(planted_all) / sizeof(planted_all[0]))

/* C++'s, as a compiler calls them; the malloc family's where nobody has them. */
static void *(*planted_new)(size_t size) = malloc;
static void (*planted_delete)(void *block) = free;
static void (*planted_delete_sized)(void *block, size_t size);

static char *planted_blocks[PLANTED_LIVE];
static uint64_t planted_allocs_total;
static char planted_text[1024];
static volatile unsigned planted_sum;

/* --- the site ------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) char *planted_make(const struct planted *bug)
{
    char *block = bench_got(bug->kind == WRONG_SIZE ? planted_new(bug->size) : malloc(bug->size));
    memcpy(block, planted_text, bug->size);
    planted_allocs_total++;
    return block;
}

static void planted_end(const struct planted *bug, char *block)
{
    if (block == NULL)
        return;
    for (uint32_t i = 0; i < bug->size; i++)
        planted_sum += (unsigned char)block[i];
    if (bug->kind != WRONG_SIZE)
        free(block);
    else if (planted_delete_sized != NULL)
        planted_delete_sized(block, bug->size);
    else
        planted_delete(block);
}

static void planted_go_on(const struct planted *bug, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char **place = &planted_blocks[planted_allocs_total % PLANTED_LIVE];
        planted_end(bug, *place);
        *place = planted_make(bug);
    }
}

/* --- the mistakes --------------------------------------------------------------------------------------------- */

/* Each takes a block and ends it, or a part of it: right, it stays inside and is the first to end it. */

static void strike_access(const struct planted *bug, char *block, bool is_right)
{
    volatile char *bytes = block;
    ptrdiff_t at = bug->kind == WRITE_BEFORE ? bug->at : (ptrdiff_t)bug->size + bug->at;
    if (is_right)
        at = bug->kind == WRITE_BEFORE ? 0 : (ptrdiff_t)bug->size - 1;
    if (bug->kind == READ_BEYOND)
        planted_sum += (unsigned char)bytes[at];
    else
        bytes[at] = 1;
    planted_end(bug, block);
}

static void strike_freed(const struct planted *bug, char *block, bool is_right)
{
    volatile char *bytes = block;
    if (!is_right) {
        planted_end(bug, block);
        planted_go_on(bug, bug->later);
    }
    if (bug->kind == READ_FREED)
        planted_sum += (unsigned char)bytes[bug->at];
    else
        bytes[bug->at] = 1;
    if (is_right)
        planted_end(bug, block);
}

static void strike_free(const struct planted *bug, char *block, bool is_right)
{
    if (is_right || bug->kind == FREE_TWICE)
        planted_end(bug, block);
    if (is_right)
        return;
    planted_go_on(bug, bug->later);
    free(block + bug->at);
}

static void strike_function(const struct planted *bug, char *block, bool is_right)
{
    if (is_right)
        planted_end(bug, block);
    else if (bug->kind == WRONG_SIZE && planted_delete_sized != NULL)
        planted_delete_sized(block, bug->size + (uint32_t)bug->at);
    else
        planted_delete(block);
}

static void strike_copy(const struct planted *bug, char *block, bool is_right)
{
    size_t length = bug->size + (is_right ? 0 : (uint32_t)bug->at);
    if (bug->kind == COPY_BEYOND) {
        memcpy(block, planted_text, length);
    } else {
        char text[256] = {0};
        memset(text, 'a', length - 1);
        strcpy(block, text);
    }
    planted_end(bug, block);
}

static void (*const planted_strikes[])(const struct planted *bug, char *block, bool is_right) = {
    [WRITE_BEYOND] = strike_access, [READ_BEYOND] = strike_access,      [WRITE_BEFORE] = strike_access,
    [READ_FREED] = strike_freed,    [WRITE_FREED] = strike_freed,       [FREE_TWICE] = strike_free,
    [FREE_MIDDLE] = strike_free,    [WRONG_FUNCTION] = strike_function, [WRONG_SIZE] = strike_function,
    [COPY_BEYOND] = strike_copy,    [STRING_BEYOND] = strike_copy,
};

/* --- the program ---------------------------------------------------------------------------------------------- */

static int planted_list(void)
{
    for (size_t i = 0; i < PLANTED_COUNT; i++)
        printf("%zu %s %u\n", i + 1, planted_names[planted_all[i].kind], planted_all[i].strike);
    return 0;
}

static void planted_find_functions(void)
{
    void *found[] = {dlsym(RTLD_DEFAULT, "_Znwm"), dlsym(RTLD_DEFAULT, "_ZdlPv"), dlsym(RTLD_DEFAULT, "_ZdlPvm")};
    if (found[0] == NULL || found[1] == NULL || found[2] == NULL)
        return;
    memcpy(&planted_new, &found[0], sizeof(found[0]));
    memcpy(&planted_delete, &found[1], sizeof(found[1]));
    memcpy(&planted_delete_sized, &found[2], sizeof(found[2]));
}

static void planted_run(const struct planted *bug, uint64_t seed, bool is_right)
{
    uint64_t dice = seed * PLANTED_SEEDS;
    uint64_t strike = bug->strike + (seed == 0 ? 0 : bench_roll(&dice) % (bug->strike / 2));
    memset(planted_text, 'x', sizeof(planted_text));
    planted_go_on(bug, strike - 1);
    char *block = planted_make(bug);
    planted_strikes[bug->kind](bug, block, is_right);
    planted_go_on(bug, strike / 10 + 2 * PLANTED_LIVE);
    for (size_t i = 0; i < PLANTED_LIVE; i++)
        planted_end(bug, planted_blocks[i]);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return planted_list();
    unsigned long number = strtoul(argv[1], NULL, 10);
    bool is_right = argc > 3 && strcmp(argv[3], "right") == 0;
    if (number < 1 || number > PLANTED_COUNT || argc > 4 || (argc == 4 && !is_right)) {
        fprintf(stderr, "usage: planted [NUMBER [SEED [right]]]\n");
        return 2;
    }
    planted_find_functions();
    planted_run(&planted_all[number - 1], argc > 2 ? strtoul(argv[2], NULL, 10) : 0, is_right);
    puts(is_right ? "RIGHT" : "MISSED");
    return 0;
}
