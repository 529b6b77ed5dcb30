/*
 * Mail and the end of a thread (src/mail.c, src/thread.c): M1, a block is never left with a record that is gone, and
 * every block comes back to its page exactly once.
 *
 * One page, owned by the thread of record 0.  Two threads free a block each.  The thread of record 0 ends; another
 * takes the record, may claim the page, and ends; so does a thread of record 1 at any time.
 *
 * Variants that must fail:
 *   NO_RECHECK         who pushes does not look at the record's state afterwards
 *   NO_LAST_COLLECT    who ends a record does not empty its mail after the state has changed
 *   NO_OWNER_CHECK     who holds the orphans' lock does not look again whether the page is still theirs
 */
#define ORPHANS 2
#define RECORDS 2
#define ALIVE 1
#define FREE 0

byte owner = 0;          /* of the page */
byte mail[RECORDS];      /* sets of blocks: bits */
bit state[RECORDS];
bool lock = false;       /* TP_LOCK_ORPHANS */
byte put_back = 0;       /* blocks on the page's free list */
byte finished = 0;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

/* Only the owner writes a page: the thread itself, or who holds the lock (P3). */
inline put(block, as) {
    assert((put_back & block) == 0);
    assert(owner == as);
    put_back = put_back | block
}

/* mail_forward_all: each block of `hand` to whoever owns the page now. */
inline forward(hand, block, id, seen) {
    do
    :: hand == 0 -> break
    :: hand != 0 ->
        block = (hand & 1 -> 1 : 2);
        hand = hand & ~block;
        id = owner;
        if
        :: id == ORPHANS ->
            acquire();
            if
#ifdef NO_OWNER_CHECK
            :: true -> put(block, ORPHANS)
#else
            :: owner == ORPHANS -> put(block, ORPHANS)
            :: else -> hand = hand | block
#endif
            fi;
            release()
        :: else ->
            mail[id] = mail[id] | block;
#ifndef NO_RECHECK
            seen = state[id];
            if
            :: seen == FREE -> atomic { hand = hand | mail[id]; mail[id] = 0 }
            :: else
            fi
#endif
        fi
    od
}

/* tp_mail_collect by the thread of record `me`. */
inline collect(me, hand, rest, block, id, seen) {
    atomic { hand = mail[me]; mail[me] = 0 }
    rest = 0;
    do
    :: hand == 0 -> break
    :: hand != 0 ->
        block = (hand & 1 -> 1 : 2);
        hand = hand & ~block;
        if
        :: owner == me -> put(block, me)
        :: else -> rest = rest | block
        fi
    od;
    forward(rest, block, id, seen)
}

/* thread_end */
inline end_record(me, hand, rest, block, id, seen) {
    collect(me, hand, rest, block, id, seen);
    acquire();
    if
    :: owner == me -> owner = ORPHANS
    :: else
    fi;
    state[me] = FREE;
    release();
#ifndef NO_LAST_COLLECT
    collect(me, hand, rest, block, id, seen)
#endif
}

inline claim(me) {
    acquire();
    if
    :: owner == ORPHANS -> owner = me
    :: else
    fi;
    release()
}

proctype Freer(byte mine) {
    byte hand = mine, block, id;
    bit seen;
    forward(hand, block, id, seen);
    finished++
}

/* A thread's life with a record, which is taken from the list of free ones when the one before it is through. */
proctype Lives(byte me; byte lives) {
    byte hand, rest, block, id;
    bit seen;
    do
    :: lives == 0 -> break
    :: lives != 0 ->
        lives--;
        state[me] = ALIVE;
        if
        :: claim(me)
        :: skip
        fi;
        if
        :: collect(me, hand, rest, block, id, seen)
        :: skip
        fi;
        end_record(me, hand, rest, block, id, seen)
    od;
    finished++
}

init {
    atomic {
        state[0] = ALIVE;
        run Freer(1);
        run Freer(2);
        run Lives(0, 2);
        run Lives(1, 1)
    }
    finished == 4;
    assert(mail[0] == 0 && mail[1] == 0);
    assert(put_back == 3)
}
