/*
 * The life of quota accounts by their users (src/quota.c): Q2, the last user ends an account, once, and nobody touches
 * it afterwards.
 *
 * An account and one below it, used by their handles, an attached thread, the lower account, and a block that the
 * thread charges and another one frees.
 *
 * Variants that must fail:
 *   USER_FIRST       a free is no user any more before it gives the charge back
 *   BLOCK_FIRST      a charged block may be freed before it is a user
 *   LOOK_APART       who takes a user away reads the number afterwards
 *   NO_LOWER_USER    an account does not use the one above it
 */
#define UPPER 0
#define LOWER 1
#define NONE 255

bool is_there[2];
byte users[2];
byte held[2];
bool block = false; /* a charged one is given out */
byte through = 0;

#define ABOVE(account) ((account) == UPPER -> NONE : UPPER)

/* quota_release; the end of an account is quota_unregister and tp_metadata_free. */
inline release(first) {
    account = first;
    do
    :: account == NONE -> break
    :: else ->
#ifdef LOOK_APART
        d_step { assert(is_there[account]); users[account]-- }
        d_step { assert(is_there[account]); left = users[account] }
#else
        d_step { assert(is_there[account]); users[account]--; left = users[account] }
#endif
        if
        :: left > 0 -> break
        :: else
        fi;
        above = ABOVE(account);
        d_step { assert(is_there[account] && held[account] == 0); is_there[account] = false }
#ifdef NO_LOWER_USER
        above = NONE;
#endif
        account = above
    od
}

/* One level of tp_quota_charge_more and of tp_quota_charge_less. */
inline charge(account) { d_step { assert(is_there[account]); held[account]++ } }
inline discharge(account) { d_step { assert(is_there[account]); held[account]-- } }

inline hold(account) { d_step { assert(is_there[account]); users[account]++ } }

/* tp_quota_destroy of both handles, in any order. */
proctype Owner(byte mine) {
    byte account, above, left;
    release(mine);
    through++
}

/* tp_quota_charge, the block, and tp_quota_attach to no account. */
proctype Thread() {
    byte account, above, left;
    charge(LOWER);
    charge(UPPER);
#ifdef BLOCK_FIRST
    block = true;
    hold(LOWER);
#else
    hold(LOWER);
    block = true;
#endif
    release(LOWER);
    through++
}

/* tp_quota_uncharge */
proctype Freer() {
    byte account, above, left;
    block;
#ifdef USER_FIRST
    release(LOWER);
#endif
    discharge(LOWER);
    discharge(UPPER);
#ifndef USER_FIRST
    release(LOWER);
#endif
    through++
}

init {
    atomic {
        is_there[UPPER] = true;
        is_there[LOWER] = true;
        users[LOWER] = 2; /* its handle, the attached thread */
        users[UPPER] = 1;
#ifndef NO_LOWER_USER
        users[UPPER]++;
#endif
        run Owner(UPPER);
        run Owner(LOWER);
        run Thread();
        run Freer()
    }
    through == 4;
    assert(!is_there[UPPER] && !is_there[LOWER])
}
