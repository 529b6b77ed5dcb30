/*
 * Scopes: random operations against a model.
 *
 * Some games are played at once, each by one thread: a tree of scopes, from which blocks of all sizes are taken, to
 * which blocks, cleanups and children are given, and of which parts are reset and destroyed at random.  The model says
 * which cleanups run and in which order, and each that runs finds the blocks of its scope and of the scopes around it
 * as they were filled.  Some cleanups go on working with the scope.  Between two rounds the games change threads; now
 * and then all is reset and the accounts must show the scopes and nothing else, and in the end nothing at all.
 *
 * TAGPOOL_SEED repeats a run, TAGPOOL_SECONDS says how long it lasts.
 */
#include "dice.h"

#include <tagpool/scope.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GAMES = 3, SCOPES = 40, BLOCKS = 3000, THINGS = 3000, TAGS = 6, OPERATIONS = 2000, SAMPLE = 16 };
enum { NONE = -1 };

static void fail(const char *what, const void *where, unsigned long long got, unsigned long long expected)
{
    printf("FAILED: %s: %p: %llu, should be %llu\n", what, where, got, expected);
    fflush(stdout);
    abort();
}

/* --- the model ------------------------------------------------------------------------------------------------ */

struct model_block {
    unsigned char *at;
    size_t size;
    unsigned char mark;
    int scope; /* NONE: free */
};

/* What ends in order, in the order of creation over the whole game. */
struct model_thing {
    int scope; /* that holds it; NONE: it has ended */
    int child; /* NONE: a cleanup */
};

struct model_scope {
    tagpool_scope_t *real; /* NULL: none */
    int parent;            /* NONE: a root */
};

struct game {
    struct dice dice;
    struct model_scope scopes[SCOPES];
    struct model_block blocks[BLOCKS];
    struct model_thing things[THINGS];
    int block_count, thing_count;
    int ending; /* the scope that is being reset or destroyed */
    unsigned long cleanups;
};

/* The argument of a cleanup; it lies in the scope that holds it. */
struct cleanup_note {
    struct game *game;
    int thing;
    int scope;
};

static tagpool_tag_t tag_of(uint64_t number)
{
    return TAGPOOL_TAG('s', 'c', 'm', '0' + number / 2);
}

/* Few blocks are nonpaged: there is little of it. */
static tagpool_kind_t kind_of(uint64_t number)
{
    return number == 1 ? TAGPOOL_NONPAGED : TAGPOOL_PAGED;
}

static bool scope_is_around(const struct game *game, int outer, int inner)
{
    while (inner != NONE && inner != outer)
        inner = game->scopes[inner].parent;
    return inner == outer;
}

/* --- blocks --------------------------------------------------------------------------------------------------- */

static void block_verify(const struct model_block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->at[i] != (unsigned char)(block->mark + i))
            fail("contents", block->at + i, block->at[i], (unsigned char)(block->mark + i));
}

static void blocks_verify(const struct game *game)
{
    for (int i = 0; i < game->block_count; i++)
        if (game->blocks[i].scope != NONE)
            block_verify(&game->blocks[i]);
}

/* Some of the blocks of a scope and of those around it. */
static void blocks_sample(const struct game *game, int scope, int begin)
{
    for (int i = begin % SAMPLE; i < game->block_count; i += SAMPLE)
        if (game->blocks[i].scope != NONE && scope_is_around(game, game->blocks[i].scope, scope))
            block_verify(&game->blocks[i]);
}

static void block_add(struct game *game, int scope, unsigned char *at, size_t size)
{
    struct model_block *block = &game->blocks[game->block_count++];
    *block = (struct model_block){at, size, (unsigned char)dice_roll(&game->dice), scope};
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(block->mark + i);
}

static void blocks_forget(struct game *game, int scope)
{
    for (int i = 0; i < game->block_count; i++)
        if (game->blocks[i].scope == scope)
            game->blocks[i].scope = NONE;
}

static size_t random_size(struct dice *dice)
{
    uint64_t sort = dice_below(dice, 200);
    if (sort < 150)
        return dice_below(dice, 200);
    if (sort < 196)
        return dice_below(dice, 5000);
    return sort < 199 ? dice_below(dice, 40000) : dice_below(dice, 300000);
}

static void check_zero(const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != 0)
            fail("not zero", at + i, at[i], 0);
}

static void take_block(struct game *game, int scope)
{
    struct dice *dice = &game->dice;
    tagpool_scope_t *real = game->scopes[scope].real;
    uint64_t number = dice_below(dice, TAGS), way = dice_below(dice, 10);
    size_t size = random_size(dice);
    size_t alignment = way == 0 ? (size_t)1 << dice_below(dice, 14) : 16;
    unsigned char *at = way == 0   ? tagpool_scope_alloc_aligned(real, kind_of(number), alignment, size, tag_of(number))
                        : way == 1 ? tagpool_scope_zalloc(real, kind_of(number), size, tag_of(number))
                                   : tagpool_scope_alloc(real, kind_of(number), size, tag_of(number));
    if (at == NULL && kind_of(number) == TAGPOOL_NONPAGED && errno == ENOMEM)
        return;
    if (at == NULL)
        fail("no memory", NULL, size, 0);
    if ((uintptr_t)at % alignment != 0 || (uintptr_t)at % 16 != 0)
        fail("alignment", at, (uintptr_t)at % alignment, 0);
    if (way == 1)
        check_zero(at, size);
    block_add(game, scope, at, size);
}

static void adopt_block(struct game *game, int scope)
{
    size_t size = random_size(&game->dice);
    unsigned char *at = tagpool_alloc(TAGPOOL_PAGED, size, tag_of(dice_below(&game->dice, TAGS)));
    if (at == NULL || tagpool_scope_adopt(game->scopes[scope].real, at) != 0)
        fail("not adopted", at, size, 0);
    block_add(game, scope, at, size);
}

/* --- cleanups and children ------------------------------------------------------------------------------------ */

static void run_cleanup(void *argument);

static int thing_add(struct game *game, int scope, int child)
{
    game->things[game->thing_count] = (struct model_thing){scope, child};
    return game->thing_count++;
}

static void add_cleanup(struct game *game, int scope)
{
    tagpool_scope_t *real = game->scopes[scope].real;
    struct cleanup_note *note = tagpool_scope_alloc(real, TAGPOOL_PAGED, sizeof(*note), tag_of(0));
    if (note == NULL)
        fail("no memory", NULL, sizeof(*note), 0);
    *note = (struct cleanup_note){game, thing_add(game, scope, NONE), scope};
    if (tagpool_scope_cleanup(real, run_cleanup, note) != 0)
        fail("no cleanup", real, 0, 0);
}

static void add_scope(struct game *game, int parent)
{
    int number = 0;
    while (number < SCOPES && game->scopes[number].real != NULL)
        number++;
    if (number == SCOPES)
        return;
    tagpool_scope_t *real = tagpool_scope_create(parent != NONE ? game->scopes[parent].real : NULL);
    if (real == NULL)
        fail("no scope", NULL, 0, 0);
    game->scopes[number] = (struct model_scope){real, parent};
    if (parent != NONE)
        thing_add(game, parent, number);
}

/* A third of the cleanups work with their scope; what they add must end before all that is older. */
static void work_in_cleanup(struct game *game, int thing, int scope)
{
    if (thing % 3 != 0 || game->thing_count + 2 > THINGS || game->block_count + 2 > BLOCKS)
        return;
    take_block(game, scope);
    if (thing % 2 == 0)
        add_cleanup(game, scope);
    adopt_block(game, scope);
}

/* --- the end of scopes ---------------------------------------------------------------------------------------- */

/* The newest that a scope holds, or NONE. */
static int newest_thing(const struct game *game, int scope)
{
    int thing = game->thing_count - 1;
    while (thing >= 0 && game->things[thing].scope != scope)
        thing--;
    return thing;
}

/* The cleanup that has to run next when this scope ends, or NONE; scopes that hold nothing more end on the way. */
static int next_cleanup(struct game *game, int scope)
{
    int thing;
    while ((thing = newest_thing(game, scope)) != NONE) {
        int child = game->things[thing].child;
        int inner = child != NONE ? next_cleanup(game, child) : thing;
        if (inner != NONE)
            return inner;
        blocks_forget(game, child);
        game->scopes[child].real = NULL;
        game->things[thing].scope = NONE;
    }
    return NONE;
}

static void run_cleanup(void *argument)
{
    const struct cleanup_note *note = argument;
    struct game *game = note->game;
    int expected = next_cleanup(game, game->ending);
    if (note->thing != expected)
        fail("order of cleanups", note, (unsigned)note->thing, (unsigned)expected);
    game->things[note->thing].scope = NONE;
    game->cleanups++;
    blocks_sample(game, note->scope, note->thing);
    work_in_cleanup(game, note->thing, note->scope);
}

static void end_scope(struct game *game, int scope, void (*end)(tagpool_scope_t *))
{
    game->ending = scope;
    end(game->scopes[scope].real);
    int left = next_cleanup(game, scope);
    if (left != NONE)
        fail("did not run", NULL, (unsigned)left, 0);
    blocks_forget(game, scope);
}

static void destroy_scope(struct game *game, int scope)
{
    end_scope(game, scope, tagpool_scope_destroy);
    for (int i = 0; i < game->thing_count; i++)
        if (game->things[i].child == scope)
            game->things[i].scope = NONE;
    game->scopes[scope].real = NULL;
}

/* Roots, each of which takes its children along. */
static void for_roots(struct game *game, void (*act)(struct game *, int))
{
    for (int scope = 0; scope < SCOPES; scope++)
        if (game->scopes[scope].real != NULL && game->scopes[scope].parent == NONE)
            act(game, scope);
}

static void reset_scope(struct game *game, int scope)
{
    end_scope(game, scope, tagpool_scope_reset);
}

static void clear(struct game *game)
{
    blocks_verify(game);
    for_roots(game, destroy_scope);
    game->block_count = game->thing_count = 0;
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static int random_scope(struct game *game)
{
    int scope = (int)dice_below(&game->dice, SCOPES);
    for (int i = 0; i < SCOPES; i++)
        if (game->scopes[(scope + i) % SCOPES].real != NULL)
            return (scope + i) % SCOPES;
    return NONE;
}

static void operate_on(struct game *game, int scope)
{
    uint64_t operation = dice_below(&game->dice, 1000);
    if (operation < 750)
        take_block(game, scope);
    else if (operation < 800)
        adopt_block(game, scope);
    else if (operation < 900)
        add_cleanup(game, scope);
    else if (operation < 960)
        add_scope(game, dice_below(&game->dice, 8) == 0 ? NONE : scope);
    else if (operation < 980)
        reset_scope(game, scope);
    else
        destroy_scope(game, scope);
}

static void operate(struct game *game)
{
    int scope = random_scope(game);
    if (scope == NONE)
        add_scope(game, NONE);
    else
        operate_on(game, scope);
    if (game->block_count > BLOCKS - 100 || game->thing_count > THINGS - 100)
        clear(game);
}

static void *play(void *argument)
{
    struct game *game = argument;
    for (int i = 0; i < OPERATIONS; i++)
        operate(game);
    blocks_verify(game);
    return NULL;
}

/* --- rounds --------------------------------------------------------------------------------------------------- */

static struct game games[GAMES];

/* Each time in new threads, so that what one took another gives back. */
static void play_round(void)
{
    pthread_t threads[GAMES];
    for (int i = 0; i < GAMES; i++)
        if (pthread_create(&threads[i], NULL, play, &games[i]) != 0)
            fail("no thread", NULL, 0, 0);
    for (int i = 0; i < GAMES; i++)
        pthread_join(threads[i], NULL);
}

static void check_account(tagpool_kind_t kind, tagpool_tag_t tag, uint64_t blocks)
{
    struct tagpool_stats stats = {0, 0, 0, 0};
    if (tagpool_stats(kind, tag, &stats) != 0 && errno != ENOENT)
        fail("stats", NULL, 0, 0);
    if (stats.allocs - stats.frees != blocks)
        fail("blocks of a tag", NULL, stats.allocs - stats.frees, blocks);
    if (stats.bytes != blocks * 512)
        fail("bytes of a tag", NULL, stats.bytes, blocks * 512);
}

/* So many scopes, and nothing in them. */
static void check_accounts(uint64_t scopes)
{
    for (uint64_t number = 0; number < TAGS; number++) {
        check_account(TAGPOOL_PAGED, tag_of(number), 0);
        check_account(TAGPOOL_NONPAGED, tag_of(number), 0);
    }
    check_account(TAGPOOL_PAGED, TAGPOOL_SCOPE_TAG, scopes);
}

static uint64_t count_scopes(void)
{
    uint64_t count = 0;
    for (int i = 0; i < GAMES; i++)
        for (int scope = 0; scope < SCOPES; scope++)
            count += games[i].scopes[scope].real != NULL;
    return count;
}

/* The first reset keeps chunks that were used, the second finds them not used. */
static void reset_all(void)
{
    for (int i = 0; i < GAMES; i++) {
        for_roots(&games[i], reset_scope);
        for_roots(&games[i], reset_scope);
    }
    check_accounts(count_scopes());
}

int main(void)
{
    struct dice dice = dice_from_environment();
    time_t end = time(NULL) + (time_t)dice_setting("TAGPOOL_SECONDS", 5);
    unsigned long rounds = 0, cleanups = 0;
    for (int i = 0; i < GAMES; i++)
        games[i].dice.state = dice_roll(&dice) | 1;
    do {
        play_round();
        if (dice_below(&dice, 4) == 0)
            reset_all();
        rounds++;
    } while (time(NULL) < end);
    for (int i = 0; i < GAMES; i++) {
        clear(&games[i]);
        cleanups += games[i].cleanups;
    }
    check_accounts(0);
    printf("%lu rounds of %d operations in %d games, %lu cleanups\n", rounds, OPERATIONS, GAMES, cleanups);
    return 0;
}
