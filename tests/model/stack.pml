/*
 * The free stack of I/O buffers (src/iobuf.c): B1, a buffer is on the stack or out, never both, and none is lost.
 *
 * Threads take buffers and give back what they have, in any order.
 *
 * Variants that must fail:
 *   NO_VERSION     the word is the top alone: a top that went and came back passes for one that stayed
 *   MARK_LATE      who gives a buffer back marks it as not out when it is on the stack already
 *   LINK_ONCE      who pushes does not write the link anew when the top has changed
 */
#define BUFFERS 3
#define NONE 3 /* IOBUF_NONE */
#define STEPS 4

byte top = NONE, version = 0; /* tagpool_iobuf.free: one word */
byte below[BUFFERS];
bit is_out[BUFFERS];
byte through = 0;

/* For the assertions alone: who has it; on the stack, or on its way there, nobody. */
byte owner[BUFFERS];

inline next_version() {
#ifndef NO_VERSION
    version++
#else
    skip
#endif
}

/* The compare-and-swap of the word, which reads it anew where it fails. */
inline swap(to) {
    if
    :: top == seen && version == seen_version -> is_swapped = true; top = to; next_version()
    :: else -> is_swapped = false; seen = top; seen_version = version
    fi
}

/* stack_push: the load, the link, the compare-and-swap. */
inline push(index) {
    d_step { seen = top; seen_version = version; is_swapped = false }
#ifdef LINK_ONCE
    below[index] = seen;
#endif
    do
    :: is_swapped -> break
    :: else ->
#ifndef LINK_ONCE
        below[index] = seen;
#endif
        d_step { swap(index) }
    od
}

/* stack_pop: the load, the read of the link, the compare-and-swap. */
inline pop() {
    d_step { seen = top; seen_version = version; is_swapped = false }
    do
    :: is_swapped || seen == NONE -> break
    :: else ->
        link = below[seen];
        d_step {
            swap(link);
            if
            :: is_swapped -> assert(owner[seen] == 0); owner[seen] = _pid
            :: else
            fi
        }
    od
}

/* buffer_take */
inline take() {
    pop();
    if
    :: seen != NONE -> is_out[seen] = 1
    :: else
    fi
}

/* buffer_give: its exchange, then stack_push. */
inline give(index) {
    d_step { assert(owner[index] == _pid); owner[index] = 0 }
#ifdef MARK_LATE
    push(index);
    assert(is_out[index] == 1);
    is_out[index] = 0;
#else
    d_step { assert(is_out[index] == 1); is_out[index] = 0 }
    push(index);
#endif
    seen = NONE
}

proctype User(byte steps) {
    byte seen, seen_version, link;
    bool is_swapped;
    do
    :: steps == 0 -> break
    :: else ->
        steps--;
        if
        :: take()
        :: owner[0] == _pid -> give(0)
        :: owner[1] == _pid -> give(1)
        :: owner[2] == _pid -> give(2)
        fi
    od;
    through++
}

init {
    byte count = 0;
    atomic {
        below[0] = 1;
        below[1] = 2;
        below[2] = NONE;
        top = 0;
        run User(STEPS);
        run User(STEPS)
    }
    through == 2;
    atomic {
        do
        :: top == NONE -> break
        :: else -> assert(owner[top] == 0 && is_out[top] == 0); count++; top = below[top]
        od;
        count = count + is_out[0] + is_out[1] + is_out[2];
        assert(count == BUFFERS)
    }
}
