/*
 * Linked with the library.  Under the preload module there is one engine: either face frees the other's blocks, and
 * knows their tags.  Status 0 if so; without the module, only the library's own half is tested.
 *
 * Usage: both_faces preload|bare
 */
#include "hold.h"

#include <tagpool.h>

#include <stdlib.h>

static const tagpool_tag_t tag = TAGPOOL_TAG('B', 'o', 't', 'h');
enum { BLOCKS = 3000 };

static int check(uint64_t allocs, uint64_t frees)
{
    struct tagpool_stats stats;
    return tagpool_stats(TAGPOOL_PAGED, tag, &stats) == 0 && stats.allocs == allocs && stats.frees == frees;
}

static int mix(void)
{
    static void *volatile ours[BLOCKS], *volatile theirs[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        ours[i] = tagpool_alloc(TAGPOOL_PAGED, (size_t)i * 7, tag);
        theirs[i] = malloc((size_t)i * 7);
        if (tagpool_tag_of(theirs[i]) == 0 || tagpool_tag_of(theirs[i]) == tag || tagpool_tag_of(ours[i]) != tag)
            return 1;
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(ours[i]);
        tagpool_free(theirs[i]);
    }
    return check(BLOCKS, BLOCKS) ? 0 : 2;
}

static int alone(void)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 100, tag);
    void *other = malloc(100);
    if (tagpool_tag_of(other) != 0 || tagpool_tag_of(block) != tag)
        return 3;
    tagpool_free(block);
    free(other);
    return check(1, 1) ? 0 : 4;
}

int main(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "preload") == 0 ? mix() : alone();
}
