/*
 * A reader of the accounts against a thread that counts and then folds its tally into the slot (U1, G2, G3).
 *
 * Whatever the reader takes for good lies between the true values at the start and at the end of its read, and it
 * never sees more frees than allocs.
 *
 * Variants that must fail:
 *   NO_SEQUENCE     the reader does not look at the slot's sequence
 *   ALLOCS_FIRST    the reader reads allocs before frees
 *   FOLD_UNMARKED   the fold does not make the sequence odd
 */
#define PAIRS 2 /* a tally's allocs, each followed by its free */
#define FOLDS 2

byte sequence = 0;
byte slot_allocs = 0, slot_frees = 0;
byte tally_allocs = 0, tally_frees = 0;

/* What is true, for the assertions alone. */
byte true_allocs = 0, true_frees = 0;

inline count_alloc() { d_step { tally_allocs++; true_allocs++ } }
inline count_free() { d_step { tally_frees++; true_frees++ } }

inline fold() {
#ifndef FOLD_UNMARKED
    sequence++;
#endif
    slot_allocs = slot_allocs + tally_allocs;
    slot_frees = slot_frees + tally_frees;
    tally_allocs = 0;
    tally_frees = 0;
#ifndef FOLD_UNMARKED
    sequence++
#endif
}

active proctype Writer() {
    byte pairs, folds;
    for (folds : 1 .. FOLDS) {
        for (pairs : 1 .. PAIRS) {
            count_alloc();
            count_free()
        }
        fold()
    }
    count_alloc()
}

active proctype Reader() {
    byte begin, allocs, frees, first_allocs, first_frees;
    d_step { first_allocs = true_allocs; first_frees = true_frees }
    begin = sequence;
#ifdef ALLOCS_FIRST
    allocs = tally_allocs;
    allocs = allocs + slot_allocs;
#endif
    frees = slot_frees;
    frees = frees + tally_frees;
#ifndef ALLOCS_FIRST
    allocs = tally_allocs;
    allocs = allocs + slot_allocs;
#endif
    if
#ifndef NO_SEQUENCE
    :: begin % 2 == 1 || begin != sequence -> skip /* read again: another run of this process */
    :: else ->
#else
    :: true ->
#endif
        assert(first_allocs <= allocs && allocs <= true_allocs);
        assert(first_frees <= frees && frees <= true_frees);
        assert(frees <= allocs)
    fi
}
