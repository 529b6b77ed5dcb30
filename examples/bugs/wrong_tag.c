/* A request is freed as if it were a connection. */
#include <tagpool.h>

#define TAG_CONN TAGPOOL_TAG('C', 'o', 'n', 'n')
#define TAG_REQUEST TAGPOOL_TAG('R', 'e', 'q', ' ')

int main(void)
{
    void *request = tagpool_alloc(TAGPOOL_PAGED, 200, TAG_REQUEST);
    tagpool_free_tag(request, TAG_CONN);
    return 0;
}
