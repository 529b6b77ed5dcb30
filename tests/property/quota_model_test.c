/*
 * Charged blocks of many threads against a model.
 *
 * A tree of accounts with limits at all levels; each thread moves from account to account, allocates with
 * TAGPOOL_CHARGE, resizes, and puts its blocks into a table that all threads free from.  The model adds a block after
 * it was given out and takes it away before it is freed: so it never says more than is charged, and must stay within
 * each limit at every moment.  In the end every account is at 0.
 *
 * TAGPOOL_SEED repeats a run, TAGPOOL_OPERATIONS says how many there are.
 */
#include "dice.h"

#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 16, ACCOUNTS = 21, PLACES = 3000, TAGS = 5, KINDS = 2 };

struct account {
    tagpool_quota_t *quota;
    int parent; /* -1: none */
    uint64_t limit;
    uint64_t model;
    uint64_t peak;
};
static struct account accounts[ACCOUNTS];

/* One at a time has a place, by the exchange of its block. */
struct item {
    void *block;
    int account;
};
static struct item *places[PLACES];

static uint64_t operations, seed, refusals, grants;

static void fail(const char *what, int account, unsigned long long got, unsigned long long expected)
{
    printf("FAILED: %s: account %d: %llu, should be %llu\n", what, account, got, expected);
    fflush(stdout);
    abort();
}

/* --- the model ------------------------------------------------------------------------------------------------ */

static void model_note(int account, uint64_t now)
{
    struct account *at = &accounts[account];
    uint64_t peak = __atomic_load_n(&at->peak, __ATOMIC_RELAXED);
    while (now > peak && !__atomic_compare_exchange_n(&at->peak, &peak, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (at->limit != 0 && now > at->limit)
        fail("limit passed", account, now, at->limit);
}

static void model_add(int account, int64_t bytes)
{
    for (; account >= 0; account = accounts[account].parent) {
        uint64_t now = __atomic_add_fetch(&accounts[account].model, (uint64_t)bytes, __ATOMIC_SEQ_CST);
        if (bytes > 0)
            model_note(account, now);
    }
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static size_t pick_size(struct dice *dice)
{
    uint64_t pick = dice_below(dice, 1000);
    if (pick == 0)
        return 131073 + dice_below(dice, 200000);
    return pick < 50 ? dice_below(dice, 20000) : dice_below(dice, 600);
}

static struct item *item_make(struct dice *dice, int account)
{
    tagpool_tag_t tag = TAGPOOL_TAG('Q', 'm', 'd', '0' + dice_below(dice, TAGS));
    errno = 0;
    void *block = tagpool_alloc_flags(TAGPOOL_PAGED, pick_size(dice), tag, TAGPOOL_CHARGE);
    if (block == NULL) {
        if (errno != EDQUOT)
            fail("errno", account, (unsigned)errno, EDQUOT);
        __atomic_fetch_add(&refusals, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    __atomic_fetch_add(&grants, 1, __ATOMIC_RELAXED);
    model_add(account, (int64_t)tagpool_size(block));
    struct item *item = malloc(sizeof(*item));
    *item = (struct item){block, account};
    return item;
}

static void item_free(struct item *item)
{
    if (item == NULL)
        return;
    model_add(item->account, -(int64_t)tagpool_size(item->block));
    tagpool_free(item->block);
    free(item);
}

/* Smaller of both sizes at every moment, so that the model says no more than is charged. */
static void item_resize(struct dice *dice, struct item *item)
{
    size_t before = tagpool_size(item->block), size = pick_size(dice);
    if (size < before)
        model_add(item->account, (int64_t)size - (int64_t)before);
    void *moved = tagpool_realloc(item->block, size);
    int64_t known = (int64_t)(size < before ? size : before);
    if (moved != NULL)
        item->block = moved;
    model_add(item->account, (int64_t)tagpool_size(item->block) - known);
}

static void operate(struct dice *dice, int account)
{
    struct item *item = dice_below(dice, 2) == 0 ? item_make(dice, account) : NULL;
    struct item *old = __atomic_exchange_n(&places[dice_below(dice, PLACES)], item, __ATOMIC_ACQ_REL);
    if (old != NULL && dice_below(dice, 8) == 0)
        item_resize(dice, old);
    item_free(old);
}

static void *work(void *argument)
{
    struct dice dice = {.state = seed + (uintptr_t)argument * UINT64_C(0x9e3779b97f4a7c15)};
    int account = 0;
    for (uint64_t i = 0; i < operations / THREADS; i++) {
        if (i % 64 == 0) {
            account = (int)dice_below(&dice, ACCOUNTS);
            if (tagpool_quota_attach(accounts[account].quota) != 0)
                fail("attach", account, (unsigned)errno, 0);
        }
        operate(&dice, account);
    }
    return NULL;
}

/* --- the run -------------------------------------------------------------------------------------------------- */

/* A root, four accounts under it, four under each: all too small for what is asked of them. */
static void make_accounts(void)
{
    for (int i = 0; i < ACCOUNTS; i++) {
        accounts[i].parent = i == 0 ? -1 : (i - 1) / 4;
        accounts[i].limit = i == 0 ? 700000 : i < 5 ? 250000 : i % 5 == 0 ? 0 : 90000;
        const tagpool_quota_limits_t limits = {.paged = accounts[i].limit};
        char name[16];
        snprintf(name, sizeof(name), "account %d", i);
        accounts[i].quota = tagpool_quota_create(i == 0 ? NULL : accounts[accounts[i].parent].quota, name, &limits);
        if (accounts[i].quota == NULL)
            fail("create", i, (unsigned)errno, 0);
    }
}

static void run(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i + 1)) != 0)
            fail("thread", (int)i, 0, 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void check_held(const char *when)
{
    for (int i = 0; i < ACCOUNTS; i++) {
        tagpool_quota_stats_t stats;
        tagpool_quota_stats(accounts[i].quota, TAGPOOL_PAGED, &stats);
        if (stats.held != accounts[i].model)
            fail(when, i, stats.held, accounts[i].model);
        if (accounts[i].limit != 0 && stats.peak > accounts[i].limit)
            fail("peak", i, stats.peak, accounts[i].limit);
    }
}

int main(void)
{
    seed = dice_from_environment().state;
    operations = dice_setting("TAGPOOL_OPERATIONS", 10000000);
    make_accounts();
    run();
    check_held("held at the end of the threads");
    for (int i = 0; i < PLACES; i++)
        item_free(places[i]);
    check_held("held when all is free");
    for (int i = 0; i < ACCOUNTS; i++)
        if (accounts[i].model != 0)
            fail("model at the end", i, accounts[i].model, 0);
    printf("%llu blocks, %llu refused\n", (unsigned long long)grants, (unsigned long long)refusals);
    if (refusals == 0 || grants == 0)
        fail("nothing was tried", 0, refusals, grants);
    return 0;
}
