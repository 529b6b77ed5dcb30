/*
 * Random operations against a model.
 *
 * Some threads each hold a hand of blocks and allocate, resize and free at random, all at once.  Between two rounds
 * everything is quiet: the accounts of every tag are compared with the model's to the unit, live blocks must not
 * overlap, blocks change hands (so that others free them), and some threads end and are replaced by new ones.  Now and
 * then all threads are told, in the middle of their work, to forget which tag leads to which heap.
 *
 * TAGPOOL_SEED repeats a run, TAGPOOL_SECONDS says how long it lasts.  Under TAGPOOL_VERIFY blocks are checked ones as
 * well: as long as was asked for to the byte, and never changed around.
 */
#include "block.h"
#include "census.h"
#include "checked.h"
#include "dice.h"
#include "start.h"

#include <tagpool/tagpool.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, HAND = 400, TAGS = 48, OPERATIONS = 1500 };

static void fail(const char *what, const void *block, unsigned long long got, unsigned long long expected)
{
    printf("FAILED: %s: block %p: %llu, should be %llu\n", what, block, got, expected);
    fflush(stdout);
    abort();
}

/* --- the model ------------------------------------------------------------------------------------------------ */

struct model_block {
    unsigned char *at; /* NULL: none */
    size_t size;       /* bytes that may be used */
    size_t counted;    /* bytes that it counts for */
    bool is_checked;   /* kept by the verifier */
    unsigned tag;
    unsigned char mark;
};

struct model_account {
    uint64_t allocs, frees, bytes;
};

/* Blocks by how they are kept. */
static unsigned long model_special, model_watched, model_ordinary;

static void model_note(unsigned long *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

static void model_measure(struct model_block *block, size_t asked)
{
    struct tp_block_info info = tp_block_look_up(block->at);
    bool is_special = info.page == NULL;
    block->is_checked = is_special || info.page->watched;
    if (info.size < asked || ((block->is_checked || tp_seal_is_on()) && info.size != asked))
        fail("size", block->at, info.size, asked);
    block->size = info.size;
    block->counted = tp_block_bytes(&info);
    if (is_special)
        model_note(&model_special);
    else
        model_note(block->is_checked ? &model_watched : &model_ordinary);
}

static void model_fill(struct model_block *block, size_t from)
{
    memset(block->at + from, block->mark, block->size - from);
}

static void model_verify(const struct model_block *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block->at[i] != block->mark)
            fail("contents", block->at + i, block->at[i], block->mark);
}

static void model_alloc(struct model_account *accounts, struct model_block *block, size_t asked)
{
    model_measure(block, asked);
    accounts[block->tag].allocs++;
    accounts[block->tag].bytes += block->counted;
    model_fill(block, 0);
}

static void model_free(struct model_account *accounts, const struct model_block *block)
{
    model_verify(block, block->size);
    accounts[block->tag].frees++;
    accounts[block->tag].bytes -= block->counted;
}

/* A realloc that came back with `at`: another address counts one of each, the same one only bytes. */
static void model_resize(struct model_account *accounts, struct model_block *block, unsigned char *at, size_t asked)
{
    struct model_block old = *block;
    block->at = at;
    model_measure(block, asked);
    model_verify(block, old.size < asked ? old.size : asked);
    accounts[block->tag].allocs += at != old.at;
    accounts[block->tag].frees += at != old.at;
    accounts[block->tag].bytes += block->counted - old.counted;
    model_fill(block, 0);
}

/* --- the tags ------------------------------------------------------------------------------------------------- */

static uint32_t slots[TAGS];
static tagpool_tag_t letters[TAGS];

static enum tp_layout layout_of(unsigned tag)
{
    return tag % 8 == 7 ? TP_LAYOUT_NONPAGED : tag % 2 == 1 ? TP_LAYOUT_MALLOC : TP_LAYOUT_PAGED;
}

static tagpool_kind_t kind_of(unsigned tag)
{
    return layout_of(tag) == TP_LAYOUT_NONPAGED ? TAGPOOL_NONPAGED : TAGPOOL_PAGED;
}

static void tags_open(void)
{
    tp_start();
    for (unsigned tag = 0; tag < TAGS; tag++) {
        char name[8];
        snprintf(name, sizeof(name), "T%03u", tag);
        letters[tag] = TAGPOOL_TAG(name[0], name[1], name[2], name[3]);
        slots[tag] = layout_of(tag) == TP_LAYOUT_MALLOC ? tp_tag_open_named(name, TAGPOOL_SEGMENT_MODULE)
                                                        : tp_tag_open(letters[tag], layout_of(tag));
    }
}

/* --- operations ----------------------------------------------------------------------------------------------- */

struct player {
    pthread_t thread;
    sem_t go, done;
    bool ends;
    struct dice dice;
    struct model_block hand[HAND];
    struct model_account accounts[TAGS];
};

static size_t random_size(struct dice *dice)
{
    uint64_t kind = dice_below(dice, 100);
    if (kind < 70)
        return dice_below(dice, 512);
    if (kind < 90)
        return dice_below(dice, 8192);
    return kind < 99 ? dice_below(dice, 160000) : dice_below(dice, 2000000);
}

/* Few tags are hot and most are cold. */
static unsigned random_tag(struct dice *dice)
{
    return dice_below(dice, 2) == 0 ? (unsigned)dice_below(dice, 3) : (unsigned)dice_below(dice, TAGS);
}

static void check_place(const struct model_block *block, size_t alignment)
{
    size_t bytes = block->is_checked ? block->size : block->counted;
    uintptr_t first = (uintptr_t)block->at, last = first + (bytes > 0 ? bytes : 1) - 1;
    if (first % alignment != 0)
        fail("alignment", block->at, first % alignment, 0);
    if (layout_of(block->tag) == TP_LAYOUT_MALLOC)
        return;
    if (bytes < TP_OS_PAGE && first / TP_OS_PAGE != last / TP_OS_PAGE)
        fail("straddles an OS page", block->at, bytes, 0);
    if (bytes >= TP_OS_PAGE && (first | (block->is_checked ? 0 : bytes)) % TP_OS_PAGE != 0)
        fail("not whole pages", block->at, bytes, 0);
}

static void *take(unsigned tag, size_t size, size_t alignment, bool zeroed)
{
    struct tp_thread *thread = tp_thread_self();
    const struct tp_alloc_request request = {
        .slot = slots[tag], .flags = zeroed ? TP_ALLOC_ZERO : 0, .size = size, .alignment = zeroed ? 16 : alignment};
    if (layout_of(tag) == TP_LAYOUT_MALLOC)
        return tp_alloc_requested(thread, &request);
    if (zeroed)
        return tagpool_zalloc(kind_of(tag), size, letters[tag]);
    return alignment > 16 ? tagpool_alloc_aligned(kind_of(tag), alignment, size, letters[tag])
                          : tagpool_alloc(kind_of(tag), size, letters[tag]);
}

static void operate_alloc(struct player *player, struct model_block *block)
{
    struct dice *dice = &player->dice;
    size_t size = random_size(dice);
    bool zeroed = dice_below(dice, 10) == 0;
    size_t alignment = !zeroed && dice_below(dice, 10) == 0 ? (size_t)16 << dice_below(dice, 10) : 16;
    block->tag = random_tag(dice);
    block->mark = (unsigned char)dice_roll(dice);
    block->at = take(block->tag, size, alignment, zeroed);
    if (block->at == NULL && kind_of(block->tag) == TAGPOOL_NONPAGED)
        return;
    if (block->at == NULL)
        fail("no memory", NULL, size, 0);
    for (size_t i = 0; zeroed && i < size; i++)
        if (block->at[i] != 0)
            fail("not zero", block->at + i, block->at[i], 0);
    model_alloc(player->accounts, block, size);
    check_place(block, alignment);
}

static void operate_free(struct player *player, struct model_block *block)
{
    model_free(player->accounts, block);
    if (layout_of(block->tag) != TP_LAYOUT_MALLOC && dice_below(&player->dice, 2) == 0)
        tagpool_free_tag(block->at, letters[block->tag]);
    else
        tagpool_free(block->at);
    block->at = NULL;
}

static void operate_resize(struct player *player, struct model_block *block)
{
    size_t size = random_size(&player->dice);
    unsigned char *at = tagpool_realloc(block->at, size);
    if (at == NULL && kind_of(block->tag) == TAGPOOL_NONPAGED)
        return;
    if (at == NULL)
        fail("no memory to resize", block->at, size, 0);
    model_resize(player->accounts, block, at, size);
    check_place(block, 16);
}

static void operate(struct player *player)
{
    struct model_block *block = &player->hand[dice_below(&player->dice, HAND)];
    if (block->at == NULL)
        operate_alloc(player, block);
    else if (dice_below(&player->dice, 4) == 0)
        operate_resize(player, block);
    else
        operate_free(player, block);
}

static void *play(void *argument)
{
    struct player *player = argument;
    for (;;) {
        sem_wait(&player->go);
        if (player->ends)
            return NULL;
        for (int i = 0; i < OPERATIONS; i++)
            operate(player);
        sem_post(&player->done);
    }
}

/* --- rounds --------------------------------------------------------------------------------------------------- */

static struct player players[THREADS];

static void player_start(struct player *player)
{
    player->ends = false;
    if (pthread_create(&player->thread, NULL, play, player) != 0)
        fail("no thread", NULL, 0, 0);
}

static void player_end(struct player *player)
{
    player->ends = true;
    sem_post(&player->go);
    pthread_join(player->thread, NULL);
}

static void play_round(struct dice *dice)
{
    for (int i = 0; i < THREADS; i++)
        sem_post(&players[i].go);
    if (dice_below(dice, 4) == 0)
        tp_site_forget_all();
    for (int i = 0; i < THREADS; i++)
        sem_wait(&players[i].done);
}

static void compare_tag(unsigned tag, const struct model_account *model)
{
    struct tp_census_view view;
    struct tp_census_sum sum;
    struct tagpool_stats stats;
    if (tp_census_open(&view, tp_segment, tp_segment->file_size) != 0)
        fail("segment", NULL, 0, 0);
    tp_census_sum(&view, slots[tag], 1, &sum);
    if (sum.allocs != model->allocs)
        fail("allocs", NULL, sum.allocs, model->allocs);
    if (sum.frees != model->frees)
        fail("frees", NULL, sum.frees, model->frees);
    if (tp_census_live_bytes(&sum) != model->bytes)
        fail("bytes", NULL, tp_census_live_bytes(&sum), model->bytes);
    if (layout_of(tag) == TP_LAYOUT_MALLOC)
        return;
    if (tagpool_stats(kind_of(tag), letters[tag], &stats) != 0 || stats.allocs != model->allocs ||
        stats.frees != model->frees || stats.bytes != model->bytes || stats.peak_bytes < stats.bytes)
        fail("tagpool_stats", NULL, stats.allocs, model->allocs);
}

static void compare_accounts(void)
{
    for (unsigned tag = 0; tag < TAGS; tag++) {
        struct model_account sum = {0, 0, 0};
        for (int i = 0; i < THREADS; i++) {
            sum.allocs += players[i].accounts[tag].allocs;
            sum.frees += players[i].accounts[tag].frees;
            sum.bytes += players[i].accounts[tag].bytes;
        }
        compare_tag(tag, &sum);
    }
}

static int block_order(const void *a, const void *b)
{
    const struct model_block *left = a, *right = b;
    return left->at < right->at ? -1 : left->at > right->at;
}

static void check_overlap(void)
{
    static struct model_block all[THREADS * HAND];
    for (int i = 0; i < THREADS; i++)
        memcpy(&all[i * HAND], players[i].hand, sizeof(players[i].hand));
    qsort(all, THREADS * HAND, sizeof(all[0]), block_order);
    for (int i = 1; i < THREADS * HAND; i++)
        if (all[i - 1].at != NULL && all[i - 1].at + all[i - 1].size > all[i].at)
            fail("overlap", all[i].at, all[i - 1].size, (unsigned long long)(all[i].at - all[i - 1].at));
}

/* Everybody's frees are now of blocks that others allocated. */
static void pass_on(struct dice *dice)
{
    for (int i = 0; i < HAND * THREADS / 2; i++) {
        struct model_block *a = &players[dice_below(dice, THREADS)].hand[dice_below(dice, HAND)];
        struct model_block *b = &players[dice_below(dice, THREADS)].hand[dice_below(dice, HAND)];
        struct model_block held = *a;
        *a = *b;
        *b = held;
    }
}

static void replace_some(struct dice *dice)
{
    for (int i = 0; i < THREADS; i++)
        if (dice_below(dice, 4) == 0) {
            player_end(&players[i]);
            player_start(&players[i]);
        }
}

static void check_all(void)
{
    compare_accounts();
    check_overlap();
}

static void free_everything(void)
{
    for (int i = 0; i < THREADS; i++) {
        player_end(&players[i]);
        for (int n = 0; n < HAND; n++)
            if (players[i].hand[n].at != NULL)
                operate_free(&players[i], &players[i].hand[n]);
    }
    check_all();
}

/* Tracked blocks are ordinary ones. */
static bool is_model_checked(void)
{
    const char *words = getenv("TAGPOOL_VERIFY");
    return words != NULL && strcmp(words, "track") != 0;
}

int main(void)
{
    struct dice dice = dice_from_environment();
    time_t end = time(NULL) + (time_t)dice_setting("TAGPOOL_SECONDS", 8);
    unsigned long rounds = 0;
    tags_open();
    for (int i = 0; i < THREADS; i++) {
        players[i].dice.state = dice_roll(&dice) | 1;
        sem_init(&players[i].go, 0, 0);
        sem_init(&players[i].done, 0, 0);
        player_start(&players[i]);
    }
    do {
        play_round(&dice);
        check_all();
        pass_on(&dice);
        replace_some(&dice);
        check_all();
        rounds++;
    } while (time(NULL) < end);
    free_everything();
    printf("%lu rounds of %d operations in %d threads: %lu blocks in special pool, %lu watched, %lu others\n", rounds,
           OPERATIONS, THREADS, model_special, model_watched, model_ordinary);
    if (is_model_checked() != (model_special + model_watched > 0))
        fail("checked blocks", NULL, model_special + model_watched, 0);
    return 0;
}
