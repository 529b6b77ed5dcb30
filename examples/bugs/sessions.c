/* A server with a mistake that shows now and then: some connections write where they were closed. */
#include <tagpool.h>
#include <time.h>

#define TAG_CONN TAGPOOL_TAG('C', 'o', 'n', 'n')

static void serve(int request)
{
    int *connection = tagpool_alloc(TAGPOOL_PAGED, 200, TAG_CONN);
    connection[0] = request;
    tagpool_free(connection);
    if (request % 1500 == 1499)
        connection[1] = 0;
}

int main(void)
{
    for (int request = 0; request < 20000; request++) {
        serve(request);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}
