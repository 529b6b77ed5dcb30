/*
 * A meter turns near, and the threads' tables (src/limit.c, src/site.c): J3, no entry that is valid under the current
 * epoch leads to a fast heap for slots of a meter that has turned near.
 *
 * Two meters, for they share the count of those that are near.  Threads whose growth is too much turn one near without
 * a lock; who sets limits turns them near and far under the lock; a third thread calls for a slot of the first meter.
 *
 * Variants that must fail:
 *   EPOCH_FIRST      the epoch changes before `near` is set
 *   COUNT_LATE       a meter is near before it is counted as such
 *   KEY_LATE         who enters a heap reads the epoch for its key after it has asked whether the meter is near
 *   FEW_BITS         a key has so few bits of the epoch that they come round while a thread makes no call
 */
#define CALLS 2
#define SETTINGS 2
#define X 0 /* the meter of the slot that is called for */
#define Y 1

byte epoch = 0;
bit near[2];
byte near_count = 0; /* tp_limit_near_count */

#ifdef FEW_BITS
#define BITS(of_epoch) ((of_epoch) & 1)
#else
#define BITS(of_epoch) (of_epoch)
#endif

/* For the assertions alone: it is near, and who turned it is through. */
bool turned[2];

/* limit_turn_near: near_count, `near`, tp_segment_next_epoch. */
inline turn_near(m) {
#ifdef EPOCH_FIRST
    epoch++;
#endif
#ifdef COUNT_LATE
    d_step { was = near[m]; near[m] = 1 }
    if
    :: !was -> near_count++
    :: else
    fi;
#else
    near_count++;
    d_step { was = near[m]; near[m] = 1 }
    if
    :: was -> near_count--
    :: else
    fi;
#endif
#ifdef EPOCH_FIRST
    turned[m] = near[m]
#else
    d_step { epoch++; turned[m] = near[m] }
#endif
}

/* limit_turn_far */
inline turn_far(m) {
    d_step { was = near[m]; near[m] = 0; turned[m] = false }
    if
    :: was -> near_count--
    :: else
    fi;
    epoch++
}

/* tp_limit_grow_beyond by a thread that was not admitted. */
proctype Grower(byte m) {
    bit was;
    if
    :: !near[m] -> turn_near(m)
    :: else
    fi
}

/* limit_apply */
proctype Setter() {
    byte settings, m;
    bit was;
    for (settings : 1 .. SETTINGS) {
        if
        :: m = X
        :: m = Y
        fi;
        if
        :: near[m] -> turn_far(m)
        :: !near[m] -> turn_near(m)
        fi
    }
}

/* tp_limit_is_near(X) in site_enter_slot. */
inline ask_near() {
    is_near = 0;
    if
    :: near_count == 0
    :: else -> is_near = near[X]
    fi
}

/* A face's fast path, and tp_site_slot_of_tag where it finds nothing. */
proctype Caller() {
    byte calls, key, gate_epoch, entry_key;
    bool entry = false, entry_is_fast;
    bit is_near;
    for (calls : 1 .. CALLS) {
        /* tp_site_find under tp_site_key: the entry is used. */
        if
        :: d_step { entry && entry_is_fast && entry_key == BITS(epoch) -> assert(!turned[X]) }
        :: else ->
            /* site_check_epoch */
            key = epoch;
            if
            :: key != gate_epoch -> entry = false; gate_epoch = key
            :: else
            fi;
            /* tp_site_key, site_enter_slot */
#ifdef KEY_LATE
            ask_near();
            key = BITS(epoch);
#else
            key = BITS(epoch);
            ask_near();
#endif
            d_step { entry = true; entry_key = key; entry_is_fast = !is_near }
        fi
    }
}

init {
    atomic {
        run Grower(X);
        run Grower(X);
        run Grower(Y);
        run Setter();
        run Caller()
    }
}
