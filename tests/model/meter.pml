/*
 * Growth against setting a limit and turning near and far (src/limit.h, src/limit.c): J1, the bound is never below what
 * callers hold; and what they hold is within the trigger, or the meter is near, so that more of it was admitted.
 *
 * One meter.  Two threads allocate and free units; a third one sets a limit, sets another or takes it away.  What is
 * admitted near the limit is anybody's guess here: yes or no.  The clock of limit_leave_if_far as well.
 *
 * Variants that must fail:
 *   BOUND_FIRST        who sets the trigger looks at the bound before it stores it
 *   CHECK_FIRST        who grows looks at bound and trigger before it adds
 *   SHRINK_FIRST       a free makes the bound smaller before the block is counted as gone
 *   FAR_WITHOUT_LOCK   who was admitted turns the meter far after it has let go of the lock
 */
#define ROUNDS 2
#define SETTINGS 2
#define NOBODY 255

byte bound = 0, trigger = 0;
bit near = 0;
bool lock = false;     /* TP_LOCK_LIMITS */
byte taker = NOBODY;   /* limit_taker */

/* What is true, for the assertions alone. */
byte held = 0;
bool applying = false; /* a limit is being set: none is in force yet */

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline check() {
    assert(bound >= held);
    assert(applying || trigger == 0 || held <= trigger || near)
}

/* tp_limit_grow_beyond: the read of `near`; the question who takes; tp_limit_shrink and limit_turn_near. */
inline grow_beyond() {
    is_near = near;
    if
    :: is_near && taker == _pid -> grown = true
    :: else ->
        bound--;
        if
        :: !is_near -> near = 1
        :: else
        fi
    fi
}

/* tp_limit_grow by one unit: its three lines, the last one in two for its two reads. */
inline grow() {
    grown = false;
#ifdef CHECK_FIRST
    sum = bound + 1;
#else
    d_step { bound++; sum = bound }
#endif
    limit = trigger;
#ifdef CHECK_FIRST
    bound++;
#endif
    if
    :: limit == 0 -> grown = true
    :: limit != 0 && sum <= limit ->
        is_near = near;
        if
        :: !is_near -> grown = true
        :: else -> grow_beyond()
        fi
    :: limit != 0 && sum > limit -> grow_beyond()
    fi
}

/* The block is given out. */
inline count_alloc() { d_step { held++; check() } }

/* limit_leave_if_far */
inline leave_if_far() {
    if
    :: near && (trigger == 0 || bound < trigger) -> d_step { near = 0; check() }
    :: true
    fi
}

/* tp_limit_take and limit_take: the loop goes on while it comes near meanwhile. */
inline take() {
    acquire();
    do
    :: true -> break /* limit_admit says no */
    :: true ->
        before = near;
        taker = _pid;
        grow();
        taker = NOBODY;
        if
        :: grown ->
            count_alloc();
#ifndef FAR_WITHOUT_LOCK
            leave_if_far();
#endif
            break
        :: else ->
            if
            :: near == before -> break
            :: else
            fi
        fi
    od;
    release()
#ifdef FAR_WITHOUT_LOCK
    ;
    if
    :: grown -> leave_if_far()
    :: else
    fi
#endif
}

/* alloc_step_run.  What was refused while it was near, and looks again when it is far, gets nothing: not checked. */
inline allocate() {
    grown = false;
    is_near = near;
    if
    :: !is_near ->
        grow();
        if
        :: grown -> count_alloc()
        :: else -> is_near = near
        fi
    :: else
    fi;
    if
    :: !grown && is_near -> take()
    :: else
    fi
}

/* free_mixed, tp_large_free: counted, then tp_limit_shrink. */
inline give_back() {
#ifdef SHRINK_FIRST
    d_step { bound--; check() }
    held--
#else
    held--;
    d_step { bound--; check() }
#endif
}

proctype Caller() {
    byte rounds, sum, limit;
    bit is_near, before;
    bool grown;
    for (rounds : 1 .. ROUNDS) {
        allocate();
        if
        :: grown -> give_back()
        :: true
        fi
    }
}

/* limit_apply: the trigger, then the bound, then near or far. */
proctype Setter() {
    byte settings, seen, wanted;
    for (settings : 1 .. SETTINGS) {
        if
        :: wanted = 0
        :: wanted = 1
        :: wanted = 2
        fi;
        acquire();
        applying = true;
#ifdef BOUND_FIRST
        seen = bound;
        trigger = wanted;
#else
        trigger = wanted;
        seen = bound;
#endif
        if
        :: trigger != 0 && seen > trigger -> near = 1
        :: else -> near = 0
        fi;
        d_step { applying = false; check() }
        release()
    }
}

init {
    atomic {
        run Caller();
        run Caller();
        run Setter()
    }
}
