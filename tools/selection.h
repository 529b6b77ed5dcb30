/*
 * Which pools of a process a view shows, and in which order.
 */
#ifndef SELECTION_H
#define SELECTION_H

#include "snapshot.h"

enum selection_kind { KIND_BOTH, KIND_NONPAGED, KIND_PAGED, KIND_COUNT };

/* Orders; SORT_DEFAULT is the layout's own. */
enum selection_sort { SORT_DEFAULT, SORT_TAG, SORT_ALLOCS, SORT_FREES, SORT_DIFF, SORT_BYTES, SORT_PER_ALLOC };

/* One order: the letter that chooses it, as a key and as an option, and what it goes by. */
struct selection_order {
    char letter;
    enum selection_sort sort;
    const char *name;
    size_t value_offset;  /* of the number in struct pool; tags have none */
    size_t change_offset; /* of its change */
};

extern const struct selection_order selection_orders[];
extern const size_t selection_order_count;

/* The order that a letter stands for, or NULL. */
const struct selection_order *selection_find_order(char letter);

/* A list of patterns for tags: '*' any text, '?' any character, blanks at the end do not count. */
struct selection_patterns {
    const char **items;
    size_t count;
};

struct selection {
    enum selection_kind kind;
    enum selection_sort sort;
    bool by_change;
    struct selection_patterns only;
    struct selection_patterns hidden;
};

/* Take a pattern in; the text must live on.  False when it is empty or begins with '*'. */
bool selection_add_pattern(struct selection_patterns *patterns, const char *text);

/* Free the lists of patterns, not their texts. */
void selection_free(struct selection *selection);

/* The chosen pools in order, in memory of the caller's; *count of them. */
const struct pool **selection_make(const struct selection *selection, const struct accounts *accounts,
                                   enum selection_sort fallback, size_t *count);

#endif
