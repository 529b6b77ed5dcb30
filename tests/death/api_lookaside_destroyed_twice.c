/* expect: LOOKASIDE_UNKNOWN */
#include <tagpool.h>

int main(void)
{
    tagpool_lookaside_t list;
    const tagpool_lookaside_options_t options = {
        .kind = TAGPOOL_PAGED, .tag = TAGPOOL_TAG('L', 'i', 's', 't'), .size = 64};
    if (tagpool_lookaside_init(&list, &options) != 0)
        return 1;
    tagpool_lookaside_destroy(&list);
    tagpool_lookaside_destroy(&list);
    return 0;
}
