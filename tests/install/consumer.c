/* A program as a user writes it, against the installed tree. */
#include <tagpool.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    struct tagpool_stats stats;
    tagpool_tag_t tag = TAGPOOL_TAG('C', 'o', 'n', 'n');
    tagpool_handle_t handle = tagpool_open(TAGPOOL_PAGED, tag);
    char *a = tagpool_alloc(TAGPOOL_PAGED, 100, tag);
    char *b = tagpool_handle_zalloc(handle, 5000);
    if (a == NULL || b == NULL || tagpool_tag_of(a) != tag)
        return 1;
    memset(a, 1, 100);
    tagpool_free_tag(a, tag);
    if (tagpool_stats(TAGPOOL_PAGED, tag, &stats) != 0)
        return 2;
    printf("allocs %llu frees %llu bytes %llu\n", (unsigned long long)stats.allocs, (unsigned long long)stats.frees,
           (unsigned long long)stats.bytes);
    tagpool_free(b);
    return stats.allocs == 2 && stats.frees == 1 && stats.bytes == 8192 ? 0 : 3;
}
