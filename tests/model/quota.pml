/*
 * Charges of quota accounts (src/quota.c): Q1, no level ever holds more than its limit; nothing is left when all is
 * given back; and what is shown is right when nobody is at it any more.
 *
 * A root with two accounts below it.  Two threads charge the first one and a third charges the other, more together
 * than either level takes.
 *
 * Variants that must fail:
 *   ADD_AND_UNDO     a level is added to first and gives back what was too much
 *   SHOW_ONCE        who shows a value does not look whether it is still so
 *   NO_GIVING_BACK   what a level refuses stays charged below it
 *   LIMIT_LOWERED    a limit is lowered meanwhile, not below what is held: who has read the old one may still add
 */
#define ROOT 0
#define LEFT 1
#define RIGHT 2
#define LEVELS 3
#define NONE 255

byte limit[LEVELS];
byte held[LEVELS];
byte shown[LEVELS]; /* the segment's row */
byte through = 0;

/* From an account to the root, and NONE. */
#define ABOVE(level) ((level) == ROOT -> NONE : ROOT)

/* quota_show: its load, its store, its condition. */
inline show_held(level) {
    do
    :: true ->
        value = held[level];
        shown[level] = value;
#ifdef SHOW_ONCE
        break
#else
        if
        :: held[level] == value -> break
        :: else
        fi
#endif
    od
}

/* quota_add: the two loads; the test and the compare-and-swap, until it succeeds or the level refuses; quota_show. */
inline add(level, bytes) {
    is_added = false;
    most = limit[level];
#ifdef ADD_AND_UNDO
    d_step { held[level] = held[level] + bytes; assert(held[level] <= limit[level]); value = held[level] }
    if
    :: value <= most -> is_added = true
    :: else -> held[level] = held[level] - bytes
    fi;
#else
    seen = held[level];
    do
    :: is_added || seen + bytes > most -> break
    :: else ->
        d_step {
            if
            :: held[level] == seen ->
                held[level] = seen + bytes;
                is_added = true;
                assert(held[level] <= limit[level])
            :: else -> seen = held[level]
            fi
        }
    od;
#endif
    if
    :: is_added -> show_held(level)
    :: else
    fi
}

/* quota_subtract */
inline subtract(first, end, bytes) {
    level = first;
    do
    :: level == end -> break
    :: else ->
        d_step { assert(held[level] >= bytes); held[level] = held[level] - bytes }
        show_held(level);
        level = ABOVE(level)
    od
}

/* tp_quota_charge_more; then tp_quota_charge_less, when the block was freed. */
proctype Charger(byte first; byte bytes) {
    byte level = first, most, seen, value, refused_at = NONE;
    bool is_added;
    do
    :: level == NONE -> break
    :: else ->
        add(level, bytes);
        if
        :: is_added -> level = ABOVE(level)
        :: else -> refused_at = level; break
        fi
    od;
#ifdef NO_GIVING_BACK
    if
    :: refused_at == NONE -> subtract(first, NONE, bytes)
    :: else
    fi;
#else
    subtract(first, refused_at, bytes);
#endif
    through++
}

init {
    atomic {
        limit[ROOT] = 3;
        limit[LEFT] = 2;
        limit[RIGHT] = 2;
        run Charger(LEFT, 1);
        run Charger(LEFT, 2);
        run Charger(RIGHT, 2)
    }
#ifdef LIMIT_LOWERED
    /* tp_quota_set_limit */
    d_step { held[ROOT] <= 2 -> limit[ROOT] = 2 }
#endif
    through == 3;
    byte i;
    for (i : ROOT .. RIGHT) {
        assert(held[i] == 0);
        assert(shown[i] == 0)
    }
}
